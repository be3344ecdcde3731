"""Until when copies may be kept whose data life is over before the consent is."""

import pytest
from sqlalchemy import Engine

from gateway.conformance.grounds import grounds
from gateway.conformance.served import CutCopy
from tests.clock import NOW
from tests.consent.store import ConsentStore
from tests.consent.world import DAY, OPERATOR, act, terms

LIFE = 10 * DAY


def kept_until(consents: ConsentStore, consent_id: str, served_at: int) -> int:
    """Return until when a copy may be kept that was served at an instant."""
    copy = CutCopy(served_at, b"e", b"d", NOW + 10**9, consent_id, served_at + LIFE)
    with consents.engine.connect() as connection:
        (ground,) = grounds(connection, [copy])
    return ground.keep_until


@pytest.fixture
def consents(records_engine: Engine) -> ConsentStore:
    """The consents of an empty store."""
    return ConsentStore(records_engine)


def test_the_word_that_a_copy_is_gone_is_not_of_those_served_since(consents: ConsentStore) -> None:
    made = consents.granted(terms=terms(valid_until=NOW + 90 * DAY, data_life_seconds=LIFE))
    consents.use(made, NOW)
    assert kept_until(consents, made.consent_id, NOW) == NOW + LIFE
    over = NOW + LIFE
    consents.acknowledge(made.consent_id, OPERATOR, over, "c", over)
    live = consents.get(made.consent_id)
    assert live is not None
    consents.use(live, over + 5, "use-2")
    assert kept_until(consents, made.consent_id, NOW) == 0
    assert kept_until(consents, made.consent_id, over + 5) == over + 5 + LIFE
    consents.move(made.consent_id, "revoke", act(over + 10))
    # What is owed now is the second; the first stays gone.
    assert kept_until(consents, made.consent_id, NOW) == 0
    assert kept_until(consents, made.consent_id, over + 5) == over + 10 + DAY
    consents.acknowledge(made.consent_id, OPERATOR, over + 20, "c", over + 20)
    assert kept_until(consents, made.consent_id, over + 5) == 0
