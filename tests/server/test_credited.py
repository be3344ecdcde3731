"""Whoever follows the ledger tells the same of what was credited."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import grpc
import pyarrow.parquet as pq
from sqlalchemy import Row, select

from creditgate.transparency.strict import strictly
from creditgate.v1 import usage_service_pb2 as pb
from creditgate.v1.audit_service_pb2 import (
    DecisionEntry,
    ListDecisionsRequest,
)
from creditgate.v1.audit_service_pb2_grpc import AuditServiceStub
from creditgate.v1.conformance_service_pb2 import GetConformanceRequest
from creditgate.v1.conformance_service_pb2_grpc import ConformanceServiceStub
from creditgate.v1.statement_document_pb2 import (
    GetStatementDocumentRequest,
    StatementForm,
)
from creditgate.v1.usage_log_pb2 import UsageKind, UsageLeaf
from creditgate.v1.usage_service_pb2_grpc import UsageServiceStub
from gateway.analytics.archive import extend
from gateway.analytics.question import ask
from gateway.clock import SystemClock
from gateway.meter.tables import USAGE
from gateway.selfcheck.check import check_stores
from gateway.settle.month import month_of
from gateway.storage.engines import reading
from gateway.transparency.salts import Salts
from sdk.usage import Usage
from sdk.usage_book import UsageBook
from sdk.usage_statements import Statements
from tests.examples import rarely_on_postgresql
from tests.installation import ADMINISTRATOR, OPERATOR_ID, PRICE, Installation
from tests.server.delivering import Stored, delivering, key_of, settled, taken

pytestmark = rarely_on_postgresql


@dataclass
class Credited:
    """A gateway where a delivery was settled, and what its operator has of it."""

    installation: Installation
    operator: grpc.aio.Channel
    administrator: grpc.aio.Channel
    book: UsageBook
    stored: Stored

    @property
    def month(self) -> str:
        """The month it is."""
        return month_of(SystemClock().now()).name


@asynccontextmanager
async def credited(installation: Installation, folder: Path) -> AsyncGenerator[Credited]:
    """Settle a delivery of which a part was acknowledged."""
    async with (
        delivering(installation, usage_export_folder=folder / "events") as gateway,
        gateway.channel() as operator,
        gateway.channel(ADMINISTRATOR) as administrator,
    ):
        with receipt_book(folder, installation) as book:
            await taken(operator, 21, book)
            await settled(operator)
            stored = Stored(installation)
            assert stored.credited
            yield Credited(installation, operator, administrator, book, stored)


@contextmanager
def receipt_book(folder: Path, installation: Installation) -> Generator[UsageBook]:
    """Give a receipt book."""
    book = UsageBook.begin(folder / "book", OPERATOR_ID, key_of(installation))
    yield book
    book.close()


async def test_all_that_follows_the_ledger_tells_the_same(
    installation: Installation, tmp_path: Path
) -> None:
    async with credited(installation, tmp_path) as world:
        await the_operators_own_log_agrees(world)
        await the_statement_counts_what_is_left(world)
        await documents_count_what_is_left(world)
        await uses_behind_the_statement_are_told_apart(world)
        await exports_have_it_as_negative_use(world, tmp_path)
        await the_archive_has_it_as_negative_use(world, tmp_path)
        await decisions_have_it_as_a_credit(world)
        await holdings_have_it_all_the_same(world)
        await what_is_listed_as_use_is_answers_alone(world)
        await the_stores_verify(world)


async def the_operators_own_log_agrees(world: Credited) -> None:
    """Receipts, leaves and the gateway's own check of both."""
    rows = len(_rows(world))
    usage = Usage(world.operator)
    async with asyncio.timeout(20):
        while await usage.follow(world.book) < rows:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    # Chunks under way when the line was cut were charged, and their receipts never came.
    assert {each.kind.value for each in world.book.differences()} <= {"unpromised"}
    leaves = [strictly(UsageLeaf, world.book.logged(place).leaf) for place in range(rows)]
    reversals = [each for each in leaves if each.kind == UsageKind.USAGE_KIND_REVERSAL]
    for each in reversals:
        answer = leaves[each.reversed_index]
        assert (answer.kind, answer.chunk) == (UsageKind.USAGE_KIND_ANSWER, each.chunk)
        assert (answer.request_id, answer.payload_digest) == (each.request_id, each.payload_digest)
        assert each.fee_micro_yuan == PRICE * len(each.revisions) // 8
    assert sum(len(each.revisions) // 8 for each in reversals) == len(world.stored.credited)


async def the_statement_counts_what_is_left(world: Credited) -> None:
    """The open month's, which the operator's side checks too."""
    request = pb.GetStatementRequest(month=world.month)
    statement = (await UsageServiceStub(world.operator).GetStatement(request)).statement
    assert sum(line.entries for line in statement.lines) == len(world.stored.net)
    assert statement.total_micro_yuan == len(world.stored.net) * PRICE
    assert (await Statements(world.operator).check(statement, world.book)).faults == ()


async def documents_count_what_is_left(world: Credited) -> None:
    """Each form is made, and says the same."""
    stub = UsageServiceStub(world.operator)
    for form in StatementForm.values()[1:]:
        request = GetStatementDocumentRequest(month=world.month, form=form)
        document = b"".join([part.content async for part in stub.GetStatementDocument(request)])
        if form == StatementForm.STATEMENT_FORM_PARQUET:
            records = pq.read_table(BytesIO(document)).column("quantity").to_pylist()
            assert len(world.stored.net) in records
        elif form == StatementForm.STATEMENT_FORM_CSV:
            assert f",{len(world.stored.net)}," in document.decode()
        assert document


async def uses_behind_the_statement_are_told_apart(world: Credited) -> None:
    """Each use, and whether it was credited."""
    request = pb.ListStatementUsesRequest(month=world.month, page_size=1_000)
    listed = await UsageServiceStub(world.operator).ListStatementUses(request)
    assert Counter(use.reversed for use in listed.uses) == {
        False: len(world.stored.net),
        True: len(world.stored.credited),
    }


async def exports_have_it_as_negative_use(world: Credited, folder: Path) -> None:
    """CloudEvents add up to what is left."""
    async with asyncio.timeout(20):
        while True:
            files = list((folder / "events").glob("*"))
            events = [json.loads(each) for file in files for each in file.read_bytes().splitlines()]
            if len(events) == len(_rows(world)):
                break
            await asyncio.sleep(0.1)
    assert sum(event["data"]["records"] for event in events) == len(world.stored.net)
    assert sum(event["data"]["fee_micro_yuan"] for event in events) == PRICE * len(world.stored.net)
    assert len({event["id"] for event in events}) == len(events)
    kinds = Counter(event["data"]["kind"] for event in events)
    assert kinds["REVERSAL"] == len([row for row in _rows(world) if row.kind != 1])


async def the_archive_has_it_as_negative_use(world: Credited, folder: Path) -> None:
    """So does what finance asks in SQL."""
    await asyncio.to_thread(extend, folder / "archive", world.installation.engines.records)
    told = ask(folder / "archive", "SELECT sum(records)::BIGINT FROM usage")
    assert told.rows == [(len(world.stored.net),)]


async def decisions_have_it_as_a_credit(world: Credited) -> None:
    """An entry of its own, which is no answer."""
    rows = _rows(world)

    async def entries() -> list[DecisionEntry]:
        listed = await AuditServiceStub(world.administrator).ListDecisions(
            ListDecisionsRequest(operator_id=OPERATOR_ID, page_size=1_000)
        )
        found = [each.entry for each in listed.decisions]
        return [each for each in found if each.request_id == "delivered" and not each.reason]

    async with asyncio.timeout(20):
        while len(await entries()) < len(rows):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    found = [each for each in await entries() if each.credit]
    assert {each.name.removeprefix("decisions/") for each in found} == {
        row.decision_id for row in rows if row.kind != 1
    }
    assert {each.served_records for each in found} == {0}


async def holdings_have_it_all_the_same(world: Credited) -> None:
    """Who says that nothing came may have it: it is held to what it was served."""

    async def entitled() -> int:
        stub = ConformanceServiceStub(world.operator)
        return (await stub.GetConformance(GetConformanceRequest())).entitled_copies

    async with asyncio.timeout(20):
        while await entitled() != len(world.stored.charged):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def what_is_listed_as_use_is_answers_alone(world: Credited) -> None:
    """Listed entries are records served."""
    request = pb.ListUsageRequest(request_id="delivered", page_size=1_000)
    listed = await UsageServiceStub(world.operator).ListUsage(request)
    assert len(listed.entries) == len(world.stored.charged)


async def the_stores_verify(world: Credited) -> None:
    """Everything kept beside the ledger is what it comes to."""
    salts = Salts.kept_in(world.installation.home.salts)
    checked = check_stores(world.installation.engines, salts, SystemClock().now())
    assert checked.faults == []


def _rows(world: Credited) -> list[Row[*tuple[Any, ...]]]:
    with reading(world.installation.engines.records) as connection:
        query = select(USAGE).where(USAGE.c.operator_id == OPERATOR_ID)
        return list(connection.execute(query.order_by(USAGE.c.usage_index)))
