"""Facts are hashed as their parts are, each behind its length, of whatever length they are."""

from hypothesis import given
from hypothesis import strategies as st

from creditgate.transparency import facts
from creditgate.transparency.facts import labelled

TEXTS = st.text(max_size=40)
BYTES = st.binary(max_size=40)
NUMBERS = st.integers(0, 2**31 - 1)
INSTANTS = st.integers(-(2**63), 2**63 - 1)


@given(st.builds(facts.Copy, TEXTS, BYTES, INSTANTS, INSTANTS))
def test_a_copy_is_hashed_by_its_parts(copy: facts.Copy) -> None:
    instants = [
        instant.to_bytes(8, "big", signed=True)
        for instant in (copy.disclosed_from, copy.disclosed_until)
    ]
    expected = labelled("copy", copy.record_id.encode(), copy.content_digest, *instants)
    assert facts.copy_digest(copy) == expected


@given(st.builds(facts.Copy, TEXTS, BYTES, INSTANTS, INSTANTS), BYTES)
def test_a_public_member_is_hashed_by_its_parts(copy: facts.Copy, particulars: bytes) -> None:
    expected = labelled("public", facts.copy_digest(copy), particulars)
    assert facts.public_digest(copy, particulars) == expected


@given(NUMBERS, st.integers(0, 2**64 - 1), TEXTS, TEXTS, NUMBERS)
def test_particulars_are_hashed_by_their_parts(
    revision: int, event_sequence: int, source: str, region: str, severity: int
) -> None:
    expected = labelled(
        "particulars",
        revision.to_bytes(4, "big"),
        event_sequence.to_bytes(8, "big"),
        source.encode(),
        region.encode(),
        severity.to_bytes(4, "big"),
    )
    digest = facts.particulars_digest(revision, event_sequence, source, region, severity)
    assert digest == expected


@given(BYTES, st.integers(0, 255), NUMBERS, TEXTS, TEXTS, BYTES)
def test_an_event_is_hashed_by_its_parts(
    salt: bytes, kind: int, revision: int, subject: str, item: str, member: bytes
) -> None:
    expected = labelled(
        "event",
        salt,
        bytes((kind,)),
        revision.to_bytes(4, "big"),
        subject.encode(),
        item.encode(),
        member,
    )
    assert facts.event_commitment(salt, kind, revision, subject, item, member) == expected
