"""Evidence about use, verified offline by the pinned key of receipts. Pure.

Source: usage_evidence.proto. That an operator's cosignature is by a key of its own is judged by
who knows the keys registered; here it is tied to the leaf by the log alone.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from creditgate.transparency.linked import LinkedKeys, Pinned, linked, open_linked
from creditgate.transparency.merkle import ProofInvalid, verify_consistency
from creditgate.transparency.note import Checkpoint
from creditgate.transparency.strict import strictly
from creditgate.transparency.usage import detail_of, verify_logged, verify_receipt
from creditgate.transparency.usage_charges import (
    Received,
    conflict_overcharge,
    known,
    miscounted,
    of_one_request,
)
from creditgate.v1.usage_evidence_pb2 import (
    ShownLeaf,
    UsageAgreement,
    UsageEvidence,
    UsageEvidenceKind,
)
from creditgate.v1.usage_log_pb2 import UsageKind, UsageLeaf

MOST_BYTES: Final = 4 << 20
"""Longer evidence is not read."""

USE: Final = UsageEvidenceKind.USAGE_EVIDENCE_KIND_USE
CONFLICT: Final = UsageEvidenceKind.USAGE_EVIDENCE_KIND_CONFLICT
TWICE: Final = UsageEvidenceKind.USAGE_EVIDENCE_KIND_TWICE
MISCOUNTED: Final = UsageEvidenceKind.USAGE_EVIDENCE_KIND_MISCOUNTED
UNPROMISED: Final = UsageEvidenceKind.USAGE_EVIDENCE_KIND_UNPROMISED


class ShownUse(NamedTuple):
    """A use that the gateway signed for; ``checkpoint`` is the head of the log it is in, None
    where a receipt alone shows it."""

    leaf: UsageLeaf
    checkpoint: Checkpoint | None
    detail: bytes


class VerifiedEvidence(NamedTuple):
    """What evidence shows about the place of ``leaf``.

    ``overcharge`` is in micro-yuan: proved where ``convicts``, else only claimed. ``convicts``
    tells that the gateway's own signatures show it wrong. ``other`` is the leaf compared with.
    ``agreement`` is what ties a use to the operator, whose JWS is still to be verified.
    """

    kind: UsageEvidenceKind.ValueType
    leaf: UsageLeaf
    overcharge: int
    convicts: bool
    other: UsageLeaf | None = None
    agreement: UsageAgreement | None = None


def verify_evidence(evidence: bytes, key: Pinned) -> VerifiedEvidence:
    """Return what a serialised UsageEvidence shows. ``key`` is that of receipts.

    Raises ProofInvalid.
    """
    if len(evidence) > MOST_BYTES:
        raise ProofInvalid(f"the evidence is longer than {MOST_BYTES} bytes")
    message = strictly(UsageEvidence, evidence)
    judge = _JUDGES.get(message.kind)
    if judge is None:
        raise ProofInvalid("the evidence does not tell what it shows")
    if message.HasField("agreement") and message.kind != USE:
        raise ProofInvalid("only a use is agreed with")
    if (message.records or message.items) and message.kind != MISCOUNTED:
        raise ProofInvalid("only what is miscounted is counted anew")
    return judge(message, [_shown(each, key) for each in message.leaves], key)


def _shown(shown: ShownLeaf, key: Pinned) -> ShownUse:
    if shown.WhichOneof("shown") == "receipt":
        detail = shown.detail or shown.receipt.detail
        return ShownUse(verify_receipt(shown.receipt, key), None, detail)
    logged = shown.logged
    operator_id = strictly(UsageLeaf, logged.leaf).operator_id
    try:
        found = verify_logged(
            logged.leaf, list(logged.audit_path), logged.checkpoint, operator_id, key
        )
    except ValueError as error:
        # Of an operator whose id no log has, too.
        raise ProofInvalid(str(error)) from None
    return ShownUse(found.leaf, found.checkpoint, shown.detail)


def _use(message: UsageEvidence, shown: Sequence[ShownUse], key: Pinned) -> VerifiedEvidence:
    use = _only(shown)
    agreement = message.agreement if message.HasField("agreement") else None
    if agreement is not None:
        _require_covered(use, agreement, key)
    return VerifiedEvidence(USE, use.leaf, 0, convicts=False, agreement=agreement)


def _require_covered(use: ShownUse, agreement: UsageAgreement, key: Pinned) -> None:
    if use.checkpoint is None:
        raise ProofInvalid("a use that is agreed with is shown by the log")
    # Under another key the log has the same leaves, and so the same tree.
    agreed = open_linked(agreement.checkpoint, linked(key).of_operator(use.leaf.operator_id))
    proof = list(agreement.consistency_proof)
    head = use.checkpoint
    verify_consistency(agreed.size, head.size, agreed.root, head.root, proof)
    if use.leaf.usage_index >= agreed.size:
        raise ProofInvalid("what was agreed with does not reach to the use")


def _conflict(_: UsageEvidence, shown: Sequence[ShownUse], key: Pinned) -> VerifiedEvidence:
    first, logged = _two(shown)
    if logged.checkpoint is None:
        raise ProofInvalid("what is charged is shown by the log")
    keys = linked(key).of_operator(logged.leaf.operator_id)
    if first.checkpoint is not None and _age(first.checkpoint, keys) > _age(
        logged.checkpoint, keys
    ):
        raise ProofInvalid("the newer state of the log comes second")
    if first.leaf.usage_index != logged.leaf.usage_index or first.leaf == logged.leaf:
        raise ProofInvalid("the leaves are not two of one place")
    overcharge = conflict_overcharge(first.leaf, logged.leaf)
    return VerifiedEvidence(CONFLICT, logged.leaf, overcharge, convicts=True, other=first.leaf)


def _age(head: Checkpoint, keys: LinkedKeys) -> tuple[int, int]:
    """Return what tells the newer of two states of a log: under a later key it begins anew."""
    return keys.place(head.origin), head.size


def _twice(_: UsageEvidence, shown: Sequence[ShownUse], __: Pinned) -> VerifiedEvidence:
    first, again = _two(shown)
    if not of_one_request(first.leaf, again.leaf) or not _are_answers(first.leaf, again.leaf):
        raise ProofInvalid("the leaves are not of one answer")
    if first.leaf.usage_index >= again.leaf.usage_index:
        raise ProofInvalid("the leaves are not at two places, the earlier first")
    fee = again.leaf.fee_micro_yuan
    return VerifiedEvidence(TWICE, again.leaf, fee, convicts=True, other=first.leaf)


def _miscounted(message: UsageEvidence, shown: Sequence[ShownUse], _: Pinned) -> VerifiedEvidence:
    use = _only(shown)
    detail = detail_of(use.leaf, use.detail)
    if detail is None:
        raise ProofInvalid("the leaf's detail is missing")
    received = known(use.leaf, Received(list(message.records), list(message.items)))
    overcharge = miscounted(use.leaf, detail, received)
    if overcharge is None:
        raise ProofInvalid("the leaf charges what it counts")
    return VerifiedEvidence(MISCOUNTED, use.leaf, overcharge, convicts=True)


def _unpromised(_: UsageEvidence, shown: Sequence[ShownUse], __: Pinned) -> VerifiedEvidence:
    use = _only(shown)
    if use.checkpoint is None or not _are_answers(use.leaf):
        raise ProofInvalid("what is charged without a receipt is shown by the log")
    return VerifiedEvidence(UNPROMISED, use.leaf, use.leaf.fee_micro_yuan, convicts=False)


def _are_answers(*leaves: UsageLeaf) -> bool:
    return all(leaf.kind == UsageKind.USAGE_KIND_ANSWER for leaf in leaves)


def _only(shown: Sequence[ShownUse]) -> ShownUse:
    if len(shown) != 1:
        raise ProofInvalid("the evidence is of one leaf")
    return shown[0]


def _two(shown: Sequence[ShownUse]) -> tuple[ShownUse, ShownUse]:
    if len(shown) != 2:
        raise ProofInvalid("the evidence compares two leaves")
    first, second = shown
    if first.leaf.operator_id != second.leaf.operator_id:
        raise ProofInvalid("the leaves are of two operators")
    return first, second


_Judge = Callable[[UsageEvidence, Sequence[ShownUse], Pinned], VerifiedEvidence]
_JUDGES: Final[Mapping[int, _Judge]] = MappingProxyType(
    {
        USE: _use,
        CONFLICT: _conflict,
        TWICE: _twice,
        MISCOUNTED: _miscounted,
        UNPROMISED: _unpromised,
    }
)
