"""What counted against quotas is told by day, on either store."""

from sqlalchemy import Engine, insert, update

from gateway.meter.ledger import UsageLedger
from gateway.meter.quota_use import SqlQuotaUse
from gateway.meter.tables import QUOTA
from tests.clock import StandingClock
from tests.meter.world import DAY, NOW, Disclosure, admitted, claim, with_lines
from tests.receipts import RECEIPTS


def test_the_records_of_each_day_are_an_operators_own(records_engine: Engine) -> None:
    entries = Disclosure(records_engine).publish(admitted("rec-1"), admitted("rec-2", 2))
    ledger = UsageLedger(with_lines(records_engine), StandingClock(), RECEIPTS)
    today = NOW // DAY
    ledger.commit(
        [
            claim("r-1", entries, disclosure_sequence=len(entries)),
            claim("r-2", entries[:1], disclosure_sequence=len(entries)),
            claim("r-3", entries[:1], served_at=NOW - 2 * DAY, disclosure_sequence=len(entries)),
            claim("r-4", entries, operator_id="beta", disclosure_sequence=len(entries)),
        ]
    )
    used = SqlQuotaUse(records_engine)
    assert used.by_day("alpha", today - 2, today) == {today - 2: 1, today: 3}
    assert used.by_day("alpha", today - 1, today - 1) == {}
    assert used.by_day("alpha", today, today) == {today: 3}
    assert used.by_day("beta", 0, today) == {today: 2}
    assert used.by_day("nobody", 0, today) == {}


def test_what_a_licence_bears_is_told_beside_what_counts_against_each(
    records_engine: Engine,
) -> None:
    entries = Disclosure(records_engine).publish(admitted("rec-1"), admitted("rec-2", 2))
    ledger = UsageLedger(with_lines(records_engine), StandingClock(), RECEIPTS)
    used = SqlQuotaUse(records_engine)
    today = NOW // DAY
    assert used.on_day("alpha", today).of("L-1") == 0
    # As an earlier version counted: no licence has it.
    with records_engine.begin() as connection:
        connection.execute(insert(QUOTA).values(operator_id="alpha", day=today, used=3))
    ledger.commit([claim("r-1", entries, disclosure_sequence=len(entries))])
    assert [used.on_day("alpha", today).of(each) for each in ("L-1", "L-2")] == [5, 3]
    assert used.on_day("beta", today).of("L-1") == 0
    # An earlier version gave back what the licence bears: nothing comes of it to another.
    with records_engine.begin() as connection:
        connection.execute(update(QUOTA).values(used=1))
    assert [used.on_day("alpha", today).of(each) for each in ("L-1", "L-2")] == [2, 0]
