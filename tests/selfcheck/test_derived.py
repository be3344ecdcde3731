"""What is counted beside the ledger is counted anew, and another count is found."""

from random import Random

from sqlalchemy import delete, insert

from consent.model import ONCE, ConsentItem
from consent.tables import CONSENT_USE, FOLLOWED, SUBJECT_USE
from gateway.consents.subject_uses import SubjectUses
from gateway.meter.decisions import DecisionIds
from gateway.meter.deliveries import Deliveries
from gateway.meter.delivery import START, Delivering, DeliveryKey
from gateway.meter.settler import DeliverySettler
from gateway.meter.tables import LICENCE_USE, QUOTA, USAGE, USAGE_HEADS
from gateway.selfcheck.derived import check_derived
from gateway.storage.engines import Engines
from tests.clock import NOW, StandingClock
from tests.conformance.disclosing import Disclosing
from tests.consent.store import ConsentStore
from tests.consent.world import EVALUATION, terms
from tests.meter.test_licences import Sharing
from tests.people import COMPANY
from tests.transparency.tampering import mutate, removed, rows_of, tampered

COUNTED = (QUOTA, LICENCE_USE, USAGE_HEADS, CONSENT_USE, SUBJECT_USE)


def history(engines: Engines) -> None:
    """Serve records, some under a consent for one use, and index all uses."""
    disclosing, consents = Disclosing(engines), ConsentStore(engines.records)
    one, two = disclosing.publish("record-1"), disclosing.publish("record-2")
    content = b'{"grade":"A","score":1}'
    under = disclosing.publish("protected", subject=COMPANY, item=EVALUATION, content=content)
    disclosing.serve("alpha", one, two)
    disclosing.serve("beta", two)
    item = ConsentItem(item=EVALUATION, fields=frozenset({"grade"}))
    consent = consents.granted(terms=terms(items=(item,), access_mode=ONCE))
    consents.use(consent, entries=[under])
    for operator_id in ("alpha", "beta", consent.operator_id):
        while SubjectUses(engines.records).index_more(operator_id):
            pass


def test_counts_are_those_of_the_ledger_and_others_are_found(engines: Engines) -> None:
    assert not check_derived(engines)
    history(engines)
    assert not check_derived(engines)
    stores = dict.fromkeys(COUNTED, engines.records)
    assert mutate(stores, (), lambda: check_derived(engines), Random(20261128), 2) > 15
    for table in COUNTED:
        for row in rows_of(engines.records, table):
            with removed(engines.records, table, row):
                assert {fault.place.split(",")[0] for fault in check_derived(engines)} == {
                    table.name
                }
    assert not check_derived(engines)


def test_other_numbers_of_records_that_consents_opened_are_found(engines: Engines) -> None:
    history(engines)
    rows = rows_of(engines.records, USAGE)
    assert [row.opened_entries for row in rows] == [0, 0, 1]
    column = USAGE.c.opened_entries
    # The first may be of an answer older than the number is kept.
    with tampered(engines.records, USAGE, rows[0], column, None):
        assert not check_derived(engines)
    for row in rows:
        others: set[int | None] = {0, 1, 2, *([None] if row != rows[0] else ())}
        for other in others - {row.opened_entries}:
            with tampered(engines.records, USAGE, row, column, other):
                places = [fault.place for fault in check_derived(engines)]
                assert f"usage_answers, {row.operator_id} {row.request_id} {row.chunk}" in places


def test_what_licences_bear_together_and_get_back_is_counted_anew(engines: Engines) -> None:
    sharing = Sharing(engines.records)
    key = DeliveryKey("alpha", "delivery")
    turn = Deliveries(engines.records).take_up(key, b"payload", NOW).turn
    sharing.ask({1: 6, 2: 1}, request_id="delivery", delivery=Delivering(turn, START))
    sharing.ask({1: 1, 2: 1})
    sharing.ask({1: 1}, rests_on=None, daily_quota=9)
    assert not check_derived(engines)
    clock = StandingClock()
    DeliverySettler(engines.records, clock, DecisionIds(), grace_seconds=-1, per_day=3).settle(key)
    assert not check_derived(engines)
    stores = {LICENCE_USE: engines.records}
    assert mutate(stores, (), lambda: check_derived(engines), Random(20261128), 2) > 1


def test_uses_that_nobody_had_and_positions_taken_away_are_found(engines: Engines) -> None:
    history(engines)
    (row, *_) = rows_of(engines.records, SUBJECT_USE)
    with engines.records.begin() as connection:
        connection.execute(insert(SUBJECT_USE).values(dict(row) | {"subject": "another"}))
    assert check_derived(engines)
    with engines.records.begin() as connection:
        connection.execute(delete(SUBJECT_USE).where(SUBJECT_USE.c.subject == "another"))
    assert not check_derived(engines)
    with engines.records.begin() as connection:
        connection.execute(delete(FOLLOWED))
    assert check_derived(engines)
