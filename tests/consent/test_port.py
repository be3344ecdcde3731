"""Without a consent engine nothing that needs consent opens (G3)."""

from hypothesis import given
from hypothesis import strategies as st

from consent.port import ConsentPort, NoConsents

WORDS = st.text(max_size=20)


@given(
    subject=WORDS,
    operator_id=WORDS,
    items=st.frozensets(WORDS),
    purpose=st.integers(),
    consent=WORDS,
    now=st.integers(),
)
def test_without_an_engine_no_consent_covers_anything(
    subject: str,
    operator_id: str,
    items: frozenset[str],
    purpose: int,
    consent: str,
    now: int,
) -> None:
    port: ConsentPort = NoConsents()
    covered = port.covering(
        subject=subject,
        operator_id=operator_id,
        items=items,
        purpose=purpose,
        consent=consent,
        now=now,
    )
    assert covered == frozenset()
