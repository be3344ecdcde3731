"""Who may have which document, and how a line is traced to its uses, consents and records."""

from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from hashlib import sha256
from io import BytesIO

import pyarrow.parquet as pq
import pytest

from creditgate.refusal import Refused
from creditgate.statement_document import open_statement
from creditgate.v1 import statement_document_pb2 as pb
from creditgate.v1 import usage_service_pb2 as usage_pb
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from gateway.documents import uses as using
from gateway.documents.service import StatementDocuments
from gateway.documents.uses import StatementUses
from gateway.meter.reader import SqlUsageReader
from gateway.meter.tables import USAGE
from gateway.settle.month import month_named
from gateway.shares import Shares
from tests.clock import StandingClock
from tests.documents.world import (
    ISSUER,
    KEY,
    NOW,
    SIGNER,
    closed_quarter,
    partly_credited_february,
    served,
)
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.settle.world import ADMINISTRATOR, ALPHA, MARCH, caller
from tests.settlement.world import FEBRUARY, JANUARY, Ledger, Months
from tests.stores import PostgresStores, SqliteStores, engines_of

_JSON = pb.StatementForm.STATEMENT_FORM_SIGNED_JSON
_PARQUET = pb.StatementForm.STATEMENT_FORM_PARQUET
_REASON = RefusalReason


pytestmark = [pytest.mark.asyncio(loop_scope="module"), rarely_on_postgresql]


@pytest.fixture
def service(months: Months) -> Iterator[StatementDocuments]:
    """The methods, over a quarter that is closed."""
    with service_over(months) as service:
        yield service


@contextmanager
def service_over(months: Months) -> Generator[StatementDocuments]:
    """Give the methods over months."""
    records = months.engines.records
    shares = Shares("documents")
    yield StatementDocuments(
        months.closer,
        months.closings,
        StatementUses(records, SqlUsageReader(records)),
        SIGNER,
        ISSUER,
        months.feed,
        StandingClock(NOW),
        shares,
    )
    shares.close()


async def _document(
    service: StatementDocuments, request: pb.GetStatementDocumentRequest, who: Caller
) -> tuple[str, bytes]:
    parts = [part async for part in service.get_statement_document(request, who)]
    content = b"".join(part.content for part in parts)
    assert parts[0].sha256 == sha256(content).digest()
    assert not any(part.file_name or part.media_type or part.sha256 for part in parts[1:])
    return parts[0].file_name, content


async def test_operator_and_administrator_get_the_same_bytes(service: StatementDocuments) -> None:
    for form in pb.StatementForm.values()[1:]:
        own = pb.GetStatementDocumentRequest(month="2026-01", last_month="2026-03", form=form)
        named = pb.GetStatementDocumentRequest()
        named.CopyFrom(own)
        named.operator_id = "alpha"
        name, content = await _document(service, own, ALPHA)
        assert name.startswith("statement-alpha-2026-01-2026-03.")
        assert (name, content) == await _document(service, named, ADMINISTRATOR)


@always_on_postgresql
async def test_administrator_gets_what_a_source_receives_of_all_operators(
    service: StatementDocuments, months: Months
) -> None:
    request = pb.GetStatementDocumentRequest(month="2026-01", source="税务", form=_JSON)
    _, content = await _document(service, request, ADMINISTRATOR)
    stated = open_statement(content.decode(), KEY)
    expected = {
        share.beneficiary: share.amount_micro_yuan
        for share in months.close("2026-01", "again").due_shares
    }
    assert stated["received_by"] == {"sources/税务": str(expected["sources/税务"])}
    assert [each["operator_id"] for each in stated["digests"]] == ["alpha", "beta"]
    request = pb.GetStatementDocumentRequest(month="2026-01", form=_PARQUET)
    _, content = await _document(service, request, ADMINISTRATOR)
    table = pq.read_table(BytesIO(content)).to_pylist()
    received: Counter[str] = Counter()
    for row in table:
        if row["side"] == "RECEIVED":
            received[row["beneficiary"]] += row["amount_micro_yuan"]
    assert dict(received) == expected


async def test_document_of_all_operators_is_open_until_its_last_month_is_settled(
    stores: SqliteStores | PostgresStores,
) -> None:
    with stores.database() as store, engines_of(*store) as engines:
        months, ledger = Months(engines), Ledger(engines)
        await months.start()
        ledger.serve([served(JANUARY + 5, 1), served(FEBRUARY + 1, 2, "y")])
        with service_over(months) as service:

            async def state(last_month: str) -> str:
                request = pb.GetStatementDocumentRequest(
                    month="2026-01", last_month=last_month, form=_JSON
                )
                _, content = await _document(service, request, ADMINISTRATOR)
                return str(open_statement(content.decode(), KEY)["state"])

            january = month_named("2026-01")
            assert january is not None
            # A closing that came half way.
            months.closer.close("alpha", january, months.feed.current(), NOW)
            assert await state("2026-01") == "OPEN"
            months.close("2026-01", "r1", NOW)
            assert (await state("2026-01"), await state("2026-02")) == ("CLOSED", "OPEN")
            months.close("2026-02", "r2", NOW)
            assert await state("2026-02") == "CLOSED"


@pytest.mark.parametrize(
    ("who", "changes", "reason"),
    [
        (ALPHA, {"operator_id": "beta"}, _REASON.REFUSAL_REASON_SCOPE_NOT_GRANTED),
        (caller("PUBLISHER"), {}, _REASON.REFUSAL_REASON_SCOPE_NOT_GRANTED),
        (ADMINISTRATOR, {"operator_id": "nobody"}, _REASON.REFUSAL_REASON_RESOURCE_NOT_FOUND),
        (ADMINISTRATOR, {"month": "2026-04"}, _REASON.REFUSAL_REASON_STATE_CONFLICT),
        (ALPHA, {"month": "2026-13"}, _REASON.REFUSAL_REASON_INVALID_REQUEST),
        (ALPHA, {"month": "2027-01"}, _REASON.REFUSAL_REASON_INVALID_REQUEST),
        (ALPHA, {"last_month": "2025-12"}, _REASON.REFUSAL_REASON_INVALID_REQUEST),
        (ALPHA, {"last_month": "2026-09"}, _REASON.REFUSAL_REASON_INVALID_REQUEST),
        (
            ALPHA,
            {"month": "2025-01", "last_month": "2026-01"},
            _REASON.REFUSAL_REASON_INVALID_REQUEST,
        ),
        (ALPHA, {"form": 0}, _REASON.REFUSAL_REASON_INVALID_REQUEST),
        (ALPHA, {"form": 9}, _REASON.REFUSAL_REASON_INVALID_REQUEST),
        (ALPHA, {"language": "fr"}, _REASON.REFUSAL_REASON_INVALID_REQUEST),
        (ALPHA, {"source": "x" * 201}, _REASON.REFUSAL_REASON_INVALID_REQUEST),
    ],
)
async def test_what_is_not_to_be_had_is_refused(
    service: StatementDocuments,
    who: Caller,
    changes: dict[str, object],
    reason: RefusalReason.ValueType,
) -> None:
    fields = {"month": "2026-01", "form": _JSON, **changes}
    with pytest.raises(Refused) as refused:
        await _document(service, pb.GetStatementDocumentRequest(**fields), who)  # pyright: ignore[reportArgumentType]
    assert refused.value.reason == reason


async def _uses(
    service: StatementDocuments, page_size: int, **narrowed: str
) -> list[usage_pb.StatementUse]:
    request = usage_pb.ListStatementUsesRequest(page_size=page_size, **narrowed)  # pyright: ignore[reportArgumentType]
    found: list[usage_pb.StatementUse] = []
    while True:
        page = await service.list_statement_uses(request, ALPHA)
        found += page.uses
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


@pytest.mark.parametrize(("page_size", "looked_at"), [(1, 2), (2, 20_000), (100, 2)])
async def test_every_line_is_the_sum_of_its_uses(
    service: StatementDocuments,
    months: Months,
    page_size: int,
    looked_at: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(using, "_MOST_LOOKED_AT", looked_at)
    for month in ("2026-01", "2026-02", "2026-03"):
        statement = months.statement(month)
        everything = await _uses(service, page_size, month=month)
        names = [use.entry.name for use in everything]
        assert len(names) == len(set(names))
        for line in statement.lines:
            narrowed = {"item": line.item, "source": line.source, "region": line.region}
            uses = await _uses(service, page_size, month=month, **narrowed)
            assert uses == [use for use in everything if use.entry.source == line.source]
            counted = [use for use in uses if not use.late]
            # What was reversed later was counted in the month, and is adjusted.
            late = month == "2026-01"
            assert len(counted) == line.entries or late
            assert all(use.entry.record.startswith("records/rec-") for use in uses)
    january = await _uses(service, page_size, month="2026-01")
    # Pages are just so long, unless few were looked at.
    if looked_at == 20_000:
        request = usage_pb.ListStatementUsesRequest(month="2026-01", page_size=1)
        first = await service.list_statement_uses(request, ALPHA)
        assert len(first.uses) == 1
    assert [(use.reversed, use.late) for use in january] == [
        (True, False),
        (False, False),
        (False, True),
        (False, True),
    ]


async def test_what_is_late_tells_which_month_adjusted_it(service: StatementDocuments) -> None:
    january = await _uses(service, 100, month="2026-01")
    assert [(use.adjustment_month, use.reversal_month) for use in january] == [
        ("", "2026-02"),
        ("", ""),
        ("2026-02", ""),
        ("2026-02", ""),
    ]
    for month in ("2026-02", "2026-03"):
        for use in await _uses(service, 100, month=month):
            assert (use.adjustment_month, use.reversal_month) == ("", "")


async def test_a_charge_of_a_component_is_traced_to_its_uses(
    service: StatementDocuments, months: Months
) -> None:
    statement = months.statement("2026-02")
    everything = await _uses(service, 100, month="2026-02")
    for charge in statement.charges:
        request = usage_pb.ListStatementUsesRequest(
            month="2026-02", component_id=charge.component_id, period=charge.period
        )
        uses = (await service.list_statement_uses(request, ALPHA)).uses
        assert list(uses) == [use for use in everything if use in uses]
        if charge.kind == "PER_RECORD":
            assert sum(use.entry.fee_micro_yuan for use in uses) == charge.fee_micro_yuan
            assert len(uses) == charge.quantity
    kinds = {charge.kind for charge in statement.charges}
    assert {"PER_RECORD", "FREE_TIER"} <= kinds
    assert not await _uses(service, 100, month="2026-02", component_id="none")
    later = usage_pb.ListStatementUsesRequest(month="2026-02")
    later.period.start_time.seconds = FEBRUARY + 2
    assert [
        use.entry.serve_time.seconds
        for use in (await service.list_statement_uses(later, ALPHA)).uses
    ] == [FEBRUARY + 2] * 2


@always_on_postgresql
async def test_a_component_is_traced_also_to_uses_of_which_nothing_is_charged(
    stores: SqliteStores | PostgresStores,
) -> None:
    late = "r-7", False, True
    penalties = [("r-1", True, False), ("r-2", True, False), ("r-4", False, False)]
    expected = {
        "jieti": [*penalties, late],
        "chufa": [("r-6", False, False)],
        "yue": [*penalties, ("r-6", False, False), late],
        "class:basic": [("r-5", False, False)],
        "class:extra": [("r-3", True, False)],
        # A cap that the month did not come to charged nothing.
        "zuigao": [],
        "none": [],
    }
    async with partly_credited_february(stores) as months:
        with service_over(months) as service:
            found = {
                name: [
                    (use.entry.request_id, use.reversed, use.late)
                    for use in await _uses(service, 2, month="2026-02", component_id=name)
                ]
                for name in expected
            }
    assert found == expected


@always_on_postgresql
async def test_of_a_record_served_twice_only_what_was_reversed_is_marked(
    stores: SqliteStores | PostgresStores,
) -> None:
    async with closed_quarter(stores) as (months, ledger):
        _serve_twice(ledger)
        with service_over(months) as service:
            uses = await _uses(service, 10, month="2026-03")
    assert [use.reversed for use in uses] == [True, False]


def _serve_twice(ledger: Ledger) -> None:
    """Have March's one record served twice, and one of these reversed."""
    (row,) = [row for row in ledger.rows if row.served_at == MARCH + 1]
    twice = row._replace(entry_count=2, entries=row.entries * 2)
    ledger.rows[row.usage_index] = twice
    with ledger.engines.records.begin() as connection:
        connection.execute(
            USAGE.update()
            .where(USAGE.c.usage_index == row.usage_index)
            .values(entry_count=2, entries=twice.entries)
        )
    ledger.reverse(row.usage_index, 1)


async def test_page_tokens_are_of_one_listing(service: StatementDocuments) -> None:
    request = usage_pb.ListStatementUsesRequest(month="2026-01", page_size=1)
    page = await service.list_statement_uses(request, ALPHA)
    request.page_token, request.source = page.next_page_token, "mem"
    with pytest.raises(Refused):
        await service.list_statement_uses(request, ALPHA)
