"""Use of other regions' records is listed entry by entry, as own use is."""

import pytest
from sqlalchemy import insert, select, update

from creditgate.v1.usage_service_pb2 import UsageEntry
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.documents.uses import StatementUses, UsesWanted
from gateway.federation.asking.tables import REGION_ANSWERS, REGION_USES
from gateway.federation.asking.uses import NOT_PASSED_ON
from gateway.meter.reader import SqlUsageReader
from gateway.meter.tables import USAGE
from gateway.settle.answer import usage_entries
from gateway.settle.month import month_named
from gateway.settle.usage import UsePlace
from gateway.settlement.region_entries import RegionEntries
from gateway.storage.engines import Engines
from gateway.usage.entries import has_entry
from tests.settle.month import Served
from tests.settlement.test_closing import FEE, served
from tests.settlement.world import JANUARY, Ledger, Months

NORTH = "https://north.invalid"
AWAY = [Served(JANUARY + 6, 2, s, "penalty", "mem", "11", 1, FEE) for s in "xyz"]


def entries(reader: SqlUsageReader, request_id: str = "") -> list[UsageEntry]:
    """Return what a reader lists of alpha, of a request where one is named, page by page."""
    found: list[UsageEntry] = []
    after, going_on = 0, True
    while going_on:
        page = reader.answers(
            "alpha", from_=None, until=None, request_id=request_id, after=after, least_entries=1
        )
        found += [entry for answer in page.answers for entry in usage_entries(answer)]
        after, going_on = (page.answers[-1].sequence if page.answers else after), page.more
    return found


def under_consent(engines: Engines, request_id: str, consent: str) -> None:
    """Keep what the region answered as given under a consent."""
    values = {
        column.name: b"" if column.name == "receipt" else 0
        for column in REGION_ANSWERS.c
        if not column.nullable
    }
    texts = ("client_id", "licence", "decision_id", "region_decision", "checkpoint")
    values |= dict.fromkeys(texts, "") | {
        "operator_id": "alpha",
        "request_id": f"own-{request_id}",
        "region": NORTH,
        "region_request_id": request_id,
        "consent": consent,
    }
    with engines.records.begin() as connection:
        connection.execute(insert(REGION_ANSWERS).values(values))


def test_entries_of_another_region_are_listed_behind_and_before_own_ones(
    engines: Engines, ledger: Ledger
) -> None:
    ledger.serve([served(JANUARY + 5, 1), *AWAY, served(JANUARY + 7, 3)], elsewhere={2})
    under_consent(engines, "r-2", "consents/c-1")
    found = entries(SqlUsageReader(engines.records, RegionEntries()))
    assert [(each.record, each.home_region, each.consent) for each in found] == [
        ("records/rec-1", "", ""),
        *((f"records/away-00{number}", NORTH, "consents/c-1") for number in range(3)),
        ("records/rec-1", "", ""),
    ]
    assert {each.fee_micro_yuan for each in found} == {FEE}
    assert [each.name for each in found][1:4] == [
        f"operators/alpha/usage/1-{number}" for number in range(3)
    ]
    # Who wants own records alone has no others.
    assert [each.home_region for each in entries(SqlUsageReader(engines.records))] == ["", ""]


def test_entries_of_another_region_are_found_by_the_request_that_the_operator_sent(
    engines: Engines, ledger: Ledger
) -> None:
    ledger.serve([served(JANUARY + 5, 1), *AWAY, served(JANUARY + 7, 3)], elsewhere={2})
    reader = SqlUsageReader(engines.records, RegionEntries())
    found = entries(reader, "own-r-2")
    assert [(each.home_region, each.request_id, each.region_request_id) for each in found] == [
        (NORTH, "own-r-2", "r-2")
    ] * 3
    # What the usage log has for the request finds them as well.
    assert entries(reader, "r-2") == found
    assert [(each.request_id, each.region_request_id) for each in entries(reader, "r-1")] == [
        ("r-1", "")
    ]
    assert entries(reader, "own-r-1") == []
    other = reader.answers(
        "beta", from_=None, until=None, request_id="own-r-2", after=0, least_entries=1
    )
    assert not other.answers


def test_what_was_never_passed_on_is_no_entry_and_keeps_its_number(
    engines: Engines, ledger: Ledger
) -> None:
    ledger.serve(AWAY[:2], elsewhere={2})
    with engines.records.begin() as connection:
        row = connection.execute(REGION_USES.select()).mappings().first()
        assert row is not None
        connection.execute(
            insert(REGION_USES).values(
                {**row, "record_id": "aaa", "subject": NOT_PASSED_ON, "own_fee": 0}
            )
        )
    reader = SqlUsageReader(engines.records, RegionEntries())
    names = [each.name for each in entries(reader)]
    assert names == ["operators/alpha/usage/0-1", "operators/alpha/usage/0-2"]
    with engines.records.connect() as connection:
        (sequence,) = connection.execute(select(USAGE.c.sequence)).scalars()
        proved = [
            number
            for number in range(4)
            if has_entry(connection, "alpha", sequence, number, RegionEntries())
        ]
    assert proved == [1, 2]
    # Given for nothing when it came at last: it is charged to nobody, and no entry.
    with engines.records.begin() as connection:
        connection.execute(
            update(REGION_USES).where(REGION_USES.c.record_id == "aaa").values(record_id="zzz")
        )
    assert [each.record for each in entries(reader)] == ["records/away-000", "records/away-001"]


@pytest.mark.parametrize("size", [1, 2, 10])
async def test_total_of_a_statement_is_that_of_the_uses_listed(
    engines: Engines, ledger: Ledger, months: Months, size: int
) -> None:
    ledger.serve([served(JANUARY + 5, 1), *AWAY, served(JANUARY + 7, 3)], elsewhere={2})
    month = month_named("2026-01")
    assert month is not None
    uses = StatementUses(engines.records, SqlUsageReader(engines.records, RegionEntries()))
    fees: list[int] = []
    place: UsePlace | None = UsePlace(0, 0)
    while place is not None:
        wanted = UsesWanted(
            "alpha",
            month,
            "",
            "",
            "",
            Purpose.PURPOSE_UNSPECIFIED,
            "",
            month.from_,
            month.until,
            size,
            place,
        )
        page = uses.page(wanted, [], None)
        fees += [use.entry.fee_micro_yuan for use in page.uses]
        place = page.end
    assert len(fees) == 5
    assert sum(fees) == months.statement("2026-01").total_micro_yuan
