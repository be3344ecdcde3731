"""Scene of an overcharge: a statement and a log that are not what was promised are caught."""

from typing import Final

from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import VerifierKey
from creditgate.transparency.usage_evidence import verify_evidence
from creditgate.v1.settlement_service_pb2 import (
    CreateCreditNoteRequest,
    CreateCreditNoteResponse,
    ListJournalRequest,
    ListJournalResponse,
)
from creditgate.v1.usage_evidence_pb2 import UsageEvidence
from creditgate.v1.usage_log_pb2 import UsageLeaf, UsageReceipt
from creditgate.v1.usage_service_pb2 import GetStatementRequest, GetStatementResponse, Statement
from gateway.cli.output import Sheet, yuan
from gateway.demo.account import Section, Step
from gateway.demo.counting import book_of, opened
from gateway.demo.stage import Served, Stage, outcome
from gateway.meter.receipts import ReceiptSigner
from gateway.transparency.keys import LogKey
from gateway.transparency.tables import LogId
from sdk.request_ids import new_request_id
from sdk.usage import Usage
from sdk.usage_book import UsageBook
from sdk.usage_disputes import dispute
from sdk.usage_statements import Statements

_PROMISED_PRICE: Final = 1
_PADDED: Final = 1_000_000_000
_REASON: Final = "charged more than promised"


async def disputed(stage: Stage) -> Section:
    """Pad a statement, then play a gateway whose log charges more than its receipt promised."""
    alpha = stage.alpha
    usage = Usage(alpha.gateway.channel)
    statements = Statements(alpha.gateway.channel)
    statement = await _statement(stage)
    with opened(book_of(stage)) as book:
        honest = await statements.check(statement, book)
        padded = await statements.check(_padded(statement), book)
        key = book.key
    answer = next(each for each in alpha.answers if each.receipt.charged_micro_yuan)
    too_much = answer.receipt.charged_micro_yuan - _PROMISED_PRICE * len(answer.records)
    evidence = await _evidence(stage, usage, answer, key)
    request = CreateCreditNoteRequest(
        operator_id=alpha.party.operator_id,
        evidence=evidence,
        reason=_REASON,
        request_id=new_request_id(),
    )
    credited = (await stage.administrator.ask(request, CreateCreditNoteResponse)).credit_note
    request.request_id = new_request_id()
    again = await outcome(stage.administrator.ask(request, CreateCreditNoteResponse))
    after = await _statement(stage)
    steps = (
        Step(
            "alpha",
            f"works the statement of {statement.month} out from its usage log and the price plans",
            _beyond(0),
            _beyond(honest.overcharge),
        ),
        Step(
            "alpha",
            "works out a statement that was padded by a flat charge of 1,000 yuan",
            _beyond(_PADDED),
            _beyond(padded.overcharge),
        ),
        Step(
            "alpha",
            "has a receipt that promised less than the log charges: the demo plays such a"
            " gateway, with its own key",
            f"proved: {yuan(too_much)} yuan too much",
            _shown(evidence, key),
        ),
        Step(
            "anybody",
            "verifies the evidence after alpha lowered the promise",
            "it does not hold",
            _shown(_lowered(evidence), key),
        ),
        Step(
            "administrator",
            "gives back what the evidence proves, by a credit note (贷记)",
            f"{yuan(too_much)} yuan",
            f"{yuan(credited.amount_micro_yuan)} yuan",
        ),
        Step("administrator", "is given the same evidence again", "STATE_CONFLICT", again),
        Step(
            "alpha",
            "looks what is due of the month",
            f"{yuan(too_much)} yuan less",
            f"{yuan(after.total_micro_yuan - after.due_micro_yuan)} yuan less",
        ),
        Step(
            "administrator",
            "adds up debits and credits of the journal",
            "they balance",
            await _balance(stage),
        ),
    )
    sheet = Sheet(
        "What the credit note takes back, and from whom",
        ("beneficiary", "yuan"),
        [(share.beneficiary, yuan(share.amount_micro_yuan)) for share in credited.shares],
        frozenset({"yuan"}),
    )
    return Section(
        "An overcharge is proved by the gateway's own signatures, and given back", steps, (sheet,)
    )


async def _statement(stage: Stage) -> Statement:
    month = max(stage.alpha.charges.entries)
    request = GetStatementRequest(month=month)
    return (await stage.alpha.gateway.ask(request, GetStatementResponse)).statement


def _padded(statement: Statement) -> Statement:
    padded = Statement()
    padded.CopyFrom(statement)
    padded.charges.add(plan_id="invented", kind="FLAT", fee_micro_yuan=_PADDED)
    padded.total_micro_yuan += _PADDED
    padded.due_micro_yuan += _PADDED
    return padded


def _beyond(overcharge: int) -> str:
    return f"{yuan(overcharge)} yuan too much"


async def _evidence(stage: Stage, usage: Usage, answer: Served, key: VerifierKey) -> bytes:
    """Return alpha's evidence, of a book that holds the receipt of the lying gateway alone."""
    file = stage.home.root / "alpha-lied-to.book"
    UsageBook.begin(file, stage.alpha.party.operator_id, key).close()
    with opened(file) as book:
        use = book.keep(_promised_less(stage, answer, key))
        await usage.follow(book)
        evidence, _ = dispute(book, use.usage_index)
    return evidence


def _promised_less(stage: Stage, answer: Served, key: VerifierKey) -> Served:
    """Return the answer as if its use had been promised at another price, signed by the key of
    the gateway."""
    leaf = UsageLeaf.FromString(answer.receipt.usage.leaf)
    for line in leaf.lines:
        line.unit_price_micro_yuan = _PROMISED_PRICE
    leaf.fee_micro_yuan = _PROMISED_PRICE * len(answer.records)
    signer = ReceiptSigner(LogKey.kept_in(stage.home.log_key(LogId.USAGE.path), key.name))
    (receipt,) = signer.receipts([leaf.SerializeToString(deterministic=True)])
    promised = type(answer).FromString(answer.SerializeToString())
    promised.receipt.charged_micro_yuan = leaf.fee_micro_yuan
    promised.receipt.usage.CopyFrom(UsageReceipt.FromString(receipt))
    return promised


def _lowered(evidence: bytes) -> bytes:
    """Return the evidence with a promise of nothing, which nobody signed."""
    message = UsageEvidence.FromString(evidence)
    receipt = message.leaves[0].receipt
    leaf = UsageLeaf.FromString(receipt.leaf)
    leaf.fee_micro_yuan = 0
    receipt.leaf = leaf.SerializeToString(deterministic=True)
    return message.SerializeToString(deterministic=True)


def _shown(evidence: bytes, key: VerifierKey) -> str:
    try:
        found = verify_evidence(evidence, key)
    except ProofInvalid:
        return "it does not hold"
    how = "proved" if found.convicts else "claimed"
    return f"{how}: {yuan(found.overcharge)} yuan too much"


async def _balance(stage: Stage) -> str:
    listed = await stage.administrator.every_page(
        ListJournalRequest(page_size=1_000), ListJournalResponse
    )
    postings = [posting for entry in listed.entries for posting in entry.postings]
    debits = sum(posting.debit_micro_yuan for posting in postings)
    credits_ = sum(posting.credit_micro_yuan for posting in postings)
    return "they balance" if debits == credits_ > 0 else f"{yuan(debits)} and {yuan(credits_)}"
