"""Evidence against a signed statement, verified offline by the pinned key of receipts. Pure.

Source: usage_evidence.proto (StatementEvidence). It has all that the statement's fees follow from:
the operator's whole usage log up to there, and the price plans that the statement names by digest.
Short evidence has of the log its signed head alone, which is of one log and no other: who has a
ledger of the same uses takes them from there, and comes to the same.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Any, Final

from google.protobuf.json_format import ParseDict, ParseError

from creditgate.rating.checking import StatementChecked, check_statement
from creditgate.rating.grounds import Grounds
from creditgate.rating.logged import LoggedUse, logged_uses
from creditgate.statement_document import StatementInvalid, is_signed_by, open_statement
from creditgate.transparency.linked import Pinned, linked, open_linked
from creditgate.transparency.merkle import ProofInvalid, leaf_hash, root_of
from creditgate.transparency.note import Checkpoint
from creditgate.transparency.strict import strictly
from creditgate.transparency.usage import detail_of
from creditgate.v1.usage_evidence_pb2 import StatementEvidence, UsageEvidence, UsageEvidenceKind
from creditgate.v1.usage_log_pb2 import UsageLeaf, UsageLine
from creditgate.v1.usage_service_pb2 import Statement

MOST_BYTES: Final = 256 << 20
"""Longer evidence is not read: some 900,000 uses."""

STATEMENT: Final = UsageEvidenceKind.USAGE_EVIDENCE_KIND_STATEMENT
UsesUnder = Callable[[str, Checkpoint], Sequence[LoggedUse]]
"""Gives the uses of an operator's log under a head, from a ledger that has been held against it."""


def is_about_statement(evidence: bytes) -> bool:
    """Tell whether evidence is of kind STATEMENT. Raises ProofInvalid where it is no evidence."""
    return strictly(UsageEvidence, evidence).kind == STATEMENT


def verify_statement_evidence(
    evidence: bytes, key: Pinned, uses_under: UsesUnder | None = None
) -> StatementChecked:
    """Return what a serialised UsageEvidence of kind STATEMENT shows. ``key`` is that of receipts;
    ``uses_under`` gives the uses of short evidence, which shows nothing without it.

    Raises ProofInvalid, also where the statement is what follows from the log and the plans.
    """
    if len(evidence) > MOST_BYTES:
        raise ProofInvalid(f"the evidence is longer than {MOST_BYTES} bytes")
    message = strictly(UsageEvidence, evidence)
    if message.kind != STATEMENT or message.leaves or message.records or message.agreement.jwk:
        raise ProofInvalid("the evidence is not of a statement alone")
    shown = message.statement
    statement = statement_of(shown.document, key)
    earlier = [statement_of(each, key) for each in shown.earlier]
    if any(each.operator_id != statement.operator_id for each in earlier):
        raise ProofInvalid("the statements are of several operators")
    uses = _uses(shown, statement.operator_id, key, uses_under)
    checked = checked_statement(statement, Grounds(uses, list(shown.plans), earlier))
    if not checked.faults:
        raise ProofInvalid("the statement charges what follows from the log and its plans")
    return checked


def checked_statement(statement: Statement, grounds: Grounds) -> StatementChecked:
    """Return what of a statement does not follow, as `check_statement`; raises ProofInvalid alone,
    also where what it tells can be no statement."""
    try:
        return check_statement(statement, grounds)
    except ProofInvalid:
        raise
    except (ValueError, OverflowError):
        raise ProofInvalid("the statement tells what none can") from None


def statement_of(document: str, key: Pinned) -> Statement:
    """Return the statement of a signed document that has one, whole. Raises ProofInvalid."""
    try:
        (told,) = open_linked_statement(document, key)["statements"]
        return ParseDict(told, Statement())
    except StatementInvalid as error:
        raise ProofInvalid(str(error)) from None
    except (KeyError, TypeError, ValueError, ParseError):
        raise ProofInvalid("the document is not one whole statement of one operator") from None


def open_linked_statement(document: str, pinned: Pinned) -> dict[str, Any]:
    """Return what a document states, as `open_statement`, that one of the keys signed. Raises
    StatementInvalid."""
    *rest, oldest = reversed(linked(pinned).every)
    for key in rest:
        if is_signed_by(document, key):
            return open_statement(document, key)
    return open_statement(document, oldest)


def lines_given(leaves: Iterable[bytes], details: Sequence[bytes]) -> list[LoggedUse]:
    """Return what leaves of a log, from its first on, count; ``details`` are those of large ones.

    Raises ProofInvalid.
    """
    given = {sha256(detail).digest(): detail for detail in details}

    def told(leaf: UsageLeaf) -> tuple[UsageLeaf, Iterable[UsageLine]]:
        detail = detail_of(leaf, given.get(leaf.detail_digest, b""))
        if detail is None:
            raise ProofInvalid("the detail of a use is missing")
        return leaf, detail.lines

    return logged_uses(told(strictly(UsageLeaf, leaf)) for leaf in leaves)


def shortened(evidence: bytes) -> bytes:
    """Return evidence without the log's leaves, for who has the ledger: a few kilobytes, however
    many uses there are. What is not of a statement, or no evidence at all, is returned as it is."""
    try:
        message = strictly(UsageEvidence, evidence)
    except ProofInvalid:
        return evidence
    if message.kind != STATEMENT:
        return evidence
    del message.statement.leaves[:]
    del message.statement.details[:]
    return message.SerializeToString(deterministic=True)


def _uses(
    shown: StatementEvidence, operator_id: str, key: Pinned, uses_under: UsesUnder | None
) -> Sequence[LoggedUse]:
    try:
        head = open_linked(shown.checkpoint, linked(key).of_operator(operator_id))
    except ValueError as error:
        # Of an operator whose id no log has, too.
        raise ProofInvalid(str(error)) from None
    if uses_under is not None and not shown.leaves:
        return uses_under(operator_id, head)
    root = root_of([leaf_hash(leaf) for leaf in shown.leaves])
    if (head.size, head.root) != (len(shown.leaves), root):
        raise ProofInvalid("the leaves are not those of the checkpoint")
    return lines_given(shown.leaves, list(shown.details))
