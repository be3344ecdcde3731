"""An operator checks its use against a real gateway: by commands, from call to dispute."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from creditgate.transparency.merkle import ProofInvalid
from creditgate.v1 import usage_service_pb2 as pb
from creditgate.v1.disclosure_service_pb2 import CorrectRecordRequest
from creditgate.v1.disclosure_service_pb2_grpc import DisclosureServiceStub
from creditgate.v1.usage_service_pb2_grpc import UsageServiceStub
from sdk.usage_book import UsageBook
from sdk.usage_statements import Statements
from sdk.verifying import main as verifying
from tests.cli.commands import Done, creditgate_here
from tests.installation import (
    ADMINISTRATOR,
    OPERATOR_CLIENT,
    OPERATOR_ID,
    PRICE,
    PUBLIC_ITEM,
    PUBLISHER,
    REGION,
    SOURCE,
    Gateway,
    Installation,
    company,
    content,
    eventually,
    furnished,
)
from tests.server.calls import draft, publish
from tests.stores import SqliteStores

if TYPE_CHECKING:
    from creditgate.v1.usage_service_pb2_grpc import UsageServiceAsyncStub

pytestmark = pytest.mark.asyncio(loop_scope="module")
SUBJECT = company(700)


@dataclass
class Desk:
    """A gateway that disclosed three records of a company, and commands to it."""

    installation: Installation
    gateway: Gateway
    key: str

    async def run(self, *arguments: str | Path, client: str = OPERATOR_CLIENT) -> Done:
        """Run a command as a client, while the gateway runs on."""
        home = self.installation.home
        return await asyncio.to_thread(
            creditgate_here, home.root, *arguments, PROFILE=str(home.profile(client))
        )

    async def told(self, *arguments: str | Path, client: str = OPERATOR_CLIENT) -> Any:
        """Return what a command that goes well prints as JSON."""
        done = await self.run(*arguments, "--json", client=client)
        assert done.status == 0, done.out + done.told
        return done.json

    async def book(self, file: Path) -> Path:
        """Begin a book that has the whole log, and receipts of none of it."""
        await self.told("usage", "begin", file, "--operator", OPERATOR_ID, "--key", self.key)
        return file

    async def ask(self, *arguments: str | Path, request_id: str) -> Any:
        """Ask for the company's records."""
        own = ("query", SUBJECT, "--purpose", "supplier-check", "--request-id", request_id)
        return await self.told(*own, "--item", PUBLIC_ITEM, *arguments)

    async def entry(self, request_id: str) -> str:
        """Return the name of a request's first usage entry."""
        listed = await self.told("usage", "list", "--request-id", request_id)
        return listed["entries"][0]["name"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(sqlite_stores: SqliteStores) -> AsyncGenerator[Desk]:
    """The desk."""
    async with AsyncExitStack() as stack:
        installation = stack.enter_context(furnished(sqlite_stores))
        gateway = await stack.enter_async_context(installation.running())
        publisher = await stack.enter_async_context(gateway.channel(PUBLISHER))
        await publish(publisher, [draft(f"r-own-{number}", SUBJECT) for number in range(3)])
        made = Desk(installation, gateway, "")
        key = await made.told("log", "key", "--log", "usage")
        yield Desk(installation, gateway, key["key"])


async def test_use_is_kept_checked_agreed_with_and_proved(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # First, so that the book has a receipt of every use there is.
    book = await desk.book(tmp_path / "receipts.book")
    for number in range(3):
        await desk.ask("--book", book, request_id=f"first-{number}")
    await desk.ask("--book", book, request_id="first-0")
    subjects = tmp_path / "subjects"
    subjects.write_text(f"{SUBJECT}\n{company(701)}\n")
    batch = ("batch", subjects, "--purpose", "supplier-check", "--request-id", "first-batch")
    await desk.told(*batch, "--book", book)
    held = await desk.told("usage", "receipts", book)
    assert (held["receipts"], held["missing"], held["gaps"]) == (4, 0, [])
    name = await desk.entry("first-2")
    # A proof waits until the use is logged; the batch is the last.
    await desk.told("usage", "proof", await desk.entry("first-batch"), "--key", desk.key)
    shown = await desk.told("usage", "proof", name, "--key", desk.key)
    assert shown["leaf"]["request_id"] == "first-2"
    checked = await desk.told("usage", "check", book)
    assert checked["differences"] == []
    size = (await desk.told("usage", "cosign", book))["size"]
    assert size == checked["leaves"] >= 4
    evidence = tmp_path / "use.evidence"
    proved = await desk.told(
        *("usage", "prove", name, "--key", desk.key, "--output", evidence), client=ADMINISTRATOR
    )
    assert (proved["kind"], proved["agreed"]["client_id"]) == ("use", OPERATOR_CLIENT)
    assert await desk.told("usage", "verify", evidence, "--key", desk.key) == proved
    assert verifying(["evidence", str(evidence), "--key", desk.key]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["agreed"], told["request_id"]) == (
        "use",
        proved["agreed"],
        "first-2",
    )
    damaged = tmp_path / "damaged.evidence"
    damaged.write_bytes(evidence.read_bytes().replace(b"first-2", b"first-1"))
    done = await desk.run("usage", "verify", damaged, "--key", desk.key)
    assert (done.status, "does not hold" in done.told) == (1, True)


async def test_a_book_is_agreed_with_by_itself_once_a_day_and_never_what_differs(
    desk: Desk, tmp_path: Path
) -> None:
    file = await desk.book(tmp_path / "receipts.book")
    await desk.told("usage", "cosign", file, "--despite-differences")
    book = UsageBook.open(file)
    before = book.agreed().size
    await desk.ask("--book", file, request_id="by-itself-1")
    await desk.told("usage", "proof", await desk.entry("by-itself-1"), "--key", desk.key)
    # Agreed with today: not again.
    await desk.ask("--book", file, request_id="by-itself-2")
    assert book.agreed().size == before
    book.keep_agreed(0, 0)
    await desk.ask("--book", file, request_id="by-itself-3")
    size = book.agreed().size
    assert size > before
    # Of this one the book has no receipt.
    await desk.ask(request_id="by-itself-4")
    await desk.told("usage", "proof", await desk.entry("by-itself-4"), "--key", desk.key)
    book.keep_agreed(0, 0)
    done = await desk.run(
        *("query", SUBJECT, "--purpose", "supplier-check", "--item", PUBLIC_ITEM, "--book", file)
    )
    assert (done.status, "1 places are not as promised" in done.told) == (0, True), done.told
    assert book.agreed().size == size
    book.close()


async def test_charge_without_receipt_is_found_and_disputed(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    book = await desk.book(tmp_path / "receipts.book")
    answer = tmp_path / "answer"
    asked = await desk.ask("--save", answer, request_id="lost")
    saved = await desk.told("usage", "verify", answer, "--key", desk.key)
    assert verifying(["use", str(answer), "--key", desk.key]) == 0
    assert json.loads(capsys.readouterr().out)["request_id"] == "lost"
    place = int(saved["leaf"].get("usage_index", 0))
    assert saved["leaf"]["fee_micro_yuan"] == asked["receipt"]["charged_micro_yuan"]
    await desk.told("usage", "proof", await desk.entry("lost"), "--key", desk.key)
    done = await desk.run("usage", "check", book, "--json")
    assert done.status == 1
    assert {
        "kind": "unpromised",
        "usage_index": place,
        "overcharge_micro_yuan": 3 * PRICE,
    } in done.json["differences"]
    refused = await desk.run("usage", "cosign", book)
    assert (refused.status, "not as promised" in refused.told) == (1, True)
    evidence = tmp_path / "lost.evidence"
    told = await desk.told("usage", "dispute", book, str(place), "--output", evidence)
    assert (told["kind"], told["convicts"]) == ("unpromised", False)
    assert await desk.told("usage", "verify", evidence, "--key", desk.key) == told
    # The answer shows that it is no overcharge.
    done = await desk.run(
        "usage", "dispute", book, str(place), "--output", evidence, "--answer", answer
    )
    assert (done.status, "charges what it counts" in done.told) == (1, True)
    # Nor is it any more, once the retry brought the receipt.
    await desk.ask("--book", book, request_id="lost")
    done = await desk.run("usage", "check", book, "--json")
    assert place not in [each["usage_index"] for each in done.json["differences"]]


async def test_receipt_of_a_lost_answer_comes_with_the_refusal_of_its_retry(
    desk: Desk, tmp_path: Path
) -> None:
    subject, request_id = company(702), "lost-and-corrected"
    query = ("query", subject, "--purpose", "supplier-check", "--request-id", request_id)
    async with desk.gateway.channel(PUBLISHER) as publisher:
        await publish(publisher, [draft("r-lost", subject)])
        await desk.told(*query, "--item", PUBLIC_ITEM)
        await DisclosureServiceStub(publisher).CorrectRecord(
            CorrectRecordRequest(
                name="records/r-lost", expected_revision=1, content=content("new"), reason="error"
            )
        )
    book = await desk.book(tmp_path / "receipts.book")

    async def refused() -> bool:
        done = await desk.run(*query, "--item", PUBLIC_ITEM, "--book", book)
        return done.status != 0 and "REQUEST_SUPERSEDED" in done.out + done.told

    await eventually(refused, 5)
    place = int((await desk.entry(request_id)).rpartition("/")[2].partition("-")[0])

    async def logged() -> Any:
        checked = await desk.run("usage", "check", book, "--json")
        return checked.json["leaves"] > place and checked.json

    await eventually(logged, 5)
    checked = await logged()
    assert place not in {each["usage_index"] for each in checked["differences"]}


async def test_a_delivery_is_noted_as_sent_and_its_receipts_are_kept(
    desk: Desk, tmp_path: Path
) -> None:
    file, subjects = await desk.book(tmp_path / "receipts.book"), tmp_path / "subjects"
    subjects.write_text(f"{SUBJECT}\n")
    batch = ("batch", subjects, "--purpose", "supplier-check", "--acknowledged", "--book", file)
    output = ("--output", tmp_path / "records.jsonl")
    request_id = (await desk.told(*batch, *output))["request_id"]
    place = int((await desk.entry(request_id)).rpartition("/")[2].partition("-")[0])
    book = UsageBook.open(file)
    (receipt,) = book.receipts_of(place)
    with pytest.raises(ProofInvalid, match="sent once"):
        book.keep_charged(receipt, request_id)
    book.close()


async def test_statement_that_counts_more_than_the_log_is_told(desk: Desk, tmp_path: Path) -> None:
    book = await desk.book(tmp_path / "receipts.book")
    await desk.ask(request_id="billed")
    await desk.told("usage", "proof", await desk.entry("billed"), "--key", desk.key)
    opened = UsageBook.open(book)
    async with desk.gateway.channel() as channel:
        statements = Statements(channel)
        month = datetime.now(UTC).strftime("%Y-%m")
        stub: UsageServiceAsyncStub = UsageServiceStub(channel)  # pyright: ignore[reportAssignmentType]
        answer = await stub.GetStatement(pb.GetStatementRequest(month=month))
        bill = answer.statement
        assert (await statements.check(bill, opened)).faults == ()
        assert bill.usage_size == opened.held().leaves
        bill.lines[0].entries += 2
        (fault,) = (await statements.check(bill, opened)).faults
        assert fault.where == f"records of {PUBLIC_ITEM}/{SOURCE}/{REGION}"
    told = await desk.run("usage", "check", book, "--month", month, "--json")
    assert told.json["statement"]["faults"] == []
    opened.close()


async def test_wrong_books_keys_and_names_are_refused_before_anything_is_charged(
    desk: Desk, tmp_path: Path
) -> None:
    none = tmp_path / "none.book"
    for arguments, said in (
        (("query", SUBJECT, "--purpose", "supplier-check", "--book", none), "no book"),
        (("usage", "begin", none, "--operator", "a", "--key", "x"), "verifier key"),
        (("usage", "receipts", none), "no book"),
        (("usage", "proof", "usage/1", "--key", desk.key), "Name the entry"),
    ):
        done = await desk.run(*arguments)
        assert (done.status, said in done.told) == (1, True), done.told
    book = await desk.book(tmp_path / "receipts.book")
    done = await desk.run("usage", "begin", book, "--operator", "other", "--key", desk.key)
    assert (done.status, "another operator" in done.told) == (1, True)
    done = await desk.run("usage", "dispute", book, "0", "--output", tmp_path / "none")
    assert (done.status, "does not hold" in done.told) == (1, True)
    done = await desk.run("usage", "cosign", book, client=ADMINISTRATOR)
    assert done.status != 0
