"""Scene of use that both sides can prove: receipts kept, the log compared, agreed with, shown."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import VerifierKey
from creditgate.transparency.usage import verify_served
from creditgate.transparency.usage_evidence import verify_evidence
from creditgate.v1.usage_service_pb2 import ListUsageRequest, ListUsageResponse
from gateway.cli.output import Sheet, several
from gateway.clock import SystemClock
from gateway.demo.account import Section, Step
from gateway.demo.changing import settled
from gateway.demo.stage import Player, Served, Stage
from sdk.credentials import Credentials
from sdk.log_keys import usage_key
from sdk.signing import SigningKey
from sdk.usage import Usage
from sdk.usage_agreements import agreed_by
from sdk.usage_book import UsageBook

_LOGGED_SECONDS: Final = 5
_AS_MANY, _FEWER = "as many", "not as many"


async def counted(stage: Stage) -> Section:
    """Keep alpha's receipts, compare the usage log with them, and have both sides prove use."""
    alpha, file = stage.alpha, book_of(stage)
    credentials = Credentials.load(stage.home.profile(alpha.party.client_id))
    key = await asyncio.to_thread(usage_key, credentials)
    UsageBook.begin(file, alpha.party.operator_id, key).close()
    with opened(file) as book:
        kept = await asyncio.to_thread(_kept, book, alpha.answers)
        usage = Usage(alpha.gateway.channel)
        uses = await _followed(usage, book)
        held = book.held()
        agreed = await usage.cosign(
            book,
            held,
            credentials.client_id,
            SigningKey.read(credentials.signing_key.read_bytes()),
            SystemClock().now(),
        )
    name = await _first_use(alpha)
    shown = await Usage(stage.administrator.channel).prove(name, key)
    evidence = shown.SerializeToString(deterministic=True)
    receipts = f"{held.receipts} receipts"
    steps = (
        Step(
            "alpha",
            f"keeps the receipts of {len(alpha.answers)} answers, retries among them, in its book",
            "each signed for what was received, no place missing",
            kept,
        ),
        Step(
            "alpha's auditor",
            "verifies an answer offline, a micro-yuan more charged than its receipt says",
            "the answer tells of another charge than its receipt",
            _dearer(alpha.answers[0], key),
        ),
        Step(
            "alpha",
            "verifies its usage log, and compares it with the book place by place",
            f"{receipts}, as many uses, nothing differs",
            f"{receipts}, {uses}",
        ),
        Step(
            "alpha",
            "agrees with the log's checkpoint, by its own key",
            f"{held.leaves} uses agreed",
            f"{agreed} uses agreed",
        ),
        Step(
            "administrator",
            "writes evidence of alpha's first use, which anyone verifies offline",
            f"use 0, agreed by {credentials.client_id}",
            _told(evidence, key),
        ),
        Step(
            "anybody",
            "verifies the evidence with one byte changed",
            "it does not hold",
            _told(evidence.replace(b"alpha-client", b"alpha-clienT", 1), key),
        ),
    )
    columns = ("operator", "receipts", "uses logged", "evidence of one use, bytes")
    row = (alpha.party.operator_id, str(held.receipts), str(held.leaves), str(len(evidence)))
    return Section(
        "Each use is promised by a signed receipt, and logged where both sides can prove it",
        steps,
        (Sheet("What alpha holds against its bill", columns, [row], frozenset(columns[1:])),),
    )


def book_of(stage: Stage) -> Path:
    """Return the file of alpha's receipt book."""
    return stage.home.root / "alpha-receipts.book"


@contextmanager
def opened(file: Path) -> Generator[UsageBook]:
    """Open a receipt book while the context lasts. Raises BookRefused."""
    book = UsageBook.open(file)
    try:
        yield book
    finally:
        book.close()


def _kept(book: UsageBook, answers: list[Served]) -> str:
    try:
        for answer in answers:
            book.keep(answer)
    except ProofInvalid as invalid:
        return str(invalid)
    missing = sum(map(len, book.gaps()))
    place = "no place" if not missing else f"{missing} places"
    return f"each signed for what was received, {place} missing"


async def _followed(usage: Usage, book: UsageBook) -> str:
    """Return how the log compares once it has all that the receipts promise."""
    receipts = book.held().receipts

    async def logged() -> str:
        # Each look follows the log anew: what is used is logged within a second or so.
        return _AS_MANY if await usage.follow(book) == receipts else _FEWER

    many = await settled(logged, _FEWER, _LOGGED_SECONDS)
    differing = several(str(each.kind) for each in book.differences())
    return f"{many} uses, {differing or 'nothing'} differs"


async def _first_use(player: Player) -> str:
    """Return the name of an entry of the operator's first use."""
    listed = await player.gateway.ask(ListUsageRequest(page_size=1), ListUsageResponse)
    return listed.entries[0].name


def _dearer(answer: Served, key: VerifierKey) -> str:
    changed = type(answer).FromString(answer.SerializeToString())
    changed.receipt.charged_micro_yuan += 1
    try:
        verify_served([changed], key)
    except ProofInvalid as invalid:
        return str(invalid)
    return "it holds"


def _told(evidence: bytes, key: VerifierKey) -> str:
    try:
        found = verify_evidence(evidence, key)
        agreed = agreed_by(found)
    except ProofInvalid:
        return "it does not hold"
    by = "nobody" if agreed is None else agreed.client_id
    return f"use {found.leaf.usage_index}, agreed by {by}"
