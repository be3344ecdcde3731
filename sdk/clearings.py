"""Clearings between regions, verified offline by the keys of both; and evidence on disputes."""

import json
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple

from google.protobuf import json_format

from creditgate.clearing import (
    ACCEPTANCE_TYPE,
    CLEARING_TYPE,
    MOST_CHARACTERS,
    Clearing,
    ClearingAcceptance,
    document_digest,
)
from creditgate.clearing_amounts import AmountLine
from creditgate.clearing_disputes import Shown, dispute_id, disputes_digest
from creditgate.clearing_entries import AnswerKey, Line, Version, version_digest
from creditgate.federated_query import region_client_id
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import VerifierKey
from creditgate.transparency.strict import strictly
from creditgate.transparency.usage import detail_of, verify_logged, verify_receipt
from creditgate.v1.clearing_service_pb2 import (
    ClearingDispute,
    ClearingDisputeKind,
    ClearingStand,
    ClearingVersion,
    GetClearingResponse,
)
from creditgate.v1.federation_service_pb2 import ClearingEvidence
from creditgate.v1.usage_log_pb2 import UsageDetail, UsageKind, UsageLeaf, UsageReceipt
from sdk.documents import DocumentKind, DocumentRefused, KeysUnavailable, read_keys

HOME: Final = ClearingStand.CLEARING_STAND_HOME
ASKING: Final = ClearingStand.CLEARING_STAND_ASKING
NOBODY: Final = ClearingStand.CLEARING_STAND_UNSPECIFIED
_MOST_ACCEPTANCE: Final = 4_096
_CLEARING: Final = DocumentKind(CLEARING_TYPE, MOST_CHARACTERS, Clearing)
_ACCEPTANCE: Final = DocumentKind(ACCEPTANCE_TYPE, _MOST_ACCEPTANCE, ClearingAcceptance)


def verified_proposal(document: str, keys: Mapping[str, Any], proposing: str) -> Clearing:
    """Return a clearing that the region ``proposing`` signed with ``keys`` (a JWK Set).

    Raises DocumentRefused.
    """
    clearing = _CLEARING.verified(document, keys, proposing).document
    if clearing.iss == clearing.other or not clearing.start < clearing.until:
        raise DocumentRefused("It is no clearing between two regions for some time.")
    return clearing


def verify_acceptance(
    acceptance: str, document: str, keys: Mapping[str, Any], other: str
) -> ClearingAcceptance:
    """Return the signature of the region ``other`` on a clearing. Raises DocumentRefused."""
    found = _ACCEPTANCE.verified(acceptance, keys, other).document
    if found.clearing != document_digest(document):
        raise DocumentRefused("The other region signed another clearing.")
    return found


def verified_clearing(
    document: str, acceptance: str, keys: Mapping[str, Mapping[str, Any]], proposing: str
) -> Clearing:
    """Return a clearing that both regions signed. ``keys`` are JWK Sets by region, ``proposing`` the
    one that proposed it. Raises DocumentRefused."""
    if proposing not in keys:
        raise DocumentRefused("There are no keys of the region that proposed it.")
    clearing = verified_proposal(document, keys[proposing], proposing)
    if clearing.other not in keys:
        raise DocumentRefused("There are no keys of the other region.")
    verify_acceptance(acceptance, document, keys[clearing.other], clearing.other)
    return clearing


class Disputed(NamedTuple):
    """An answer that a clearing left out, by the versions of both regions."""

    kind: str
    answer: AnswerKey
    home: Version | None
    asking: Version | None

    @property
    def dispute_id(self) -> str:
        """The id of the dispute."""
        return dispute_id(self.answer.id)

    @property
    def shown(self) -> Shown:
        """The digests of both versions."""
        return Shown(version_digest(self.home), version_digest(self.asking))


def lines_of(document: str) -> tuple[AmountLine, ...]:
    """Return the lines of a clearing that was verified before."""
    payload = document.split(".")[1]
    read: Any = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return tuple(AmountLine.model_validate(each) for each in read.get("amounts", ()))


class KeptClearing(NamedTuple):
    """A clearing as it was kept: what both signed, who proposed it, what it left out, as far as it
    was kept, and evidence on that."""

    document: str
    acceptance: str
    proposing: str
    disputes: tuple[Disputed, ...]
    evidence: tuple[ClearingEvidence, ...]

    def verified(self, keys: Mapping[str, Mapping[str, Any]]) -> Clearing:
        """Return what it says, once both signed it; see `verified_clearing`."""
        return verified_clearing(self.document, self.acceptance, keys, self.proposing)

    def verify_disputes(self, clearing: Clearing) -> None:
        """Raise DocumentRefused unless what was kept as left out is all that both signed as such."""
        signed = clearing.left_out
        if len(self.disputes) != signed.disputes + signed.under_way:
            raise DocumentRefused(
                f"It lists {len(self.disputes)} of {signed.disputes + signed.under_way} answers left"
                " out: keep all, as `clearing show --json` does."
            )
        if (
            disputes_digest((each.dispute_id, each.shown) for each in self.disputes)
            != signed.digest
        ):
            raise DocumentRefused("The disputes in it are not those that both regions signed.")


def read_clearing(kept: bytes) -> KeptClearing:
    """Return a clearing that was kept as `creditgate federation clearing show --json` prints it.

    Raises DocumentRefused.
    """
    try:
        answer = json_format.Parse(kept, GetClearingResponse(), ignore_unknown_fields=True)
    except (json_format.ParseError, UnicodeDecodeError):
        raise DocumentRefused("It is no clearing as `clearing show --json` prints it.") from None
    return KeptClearing(
        answer.signed.document,
        answer.signed.acceptance,
        answer.clearing.proposing_region,
        tuple(map(_disputed, answer.disputes)),
        tuple(answer.evidence),
    )


def _disputed(message: ClearingDispute) -> Disputed:
    answer = AnswerKey(
        message.home_region, message.asking_region, message.request_id, message.chunk
    )
    kind = ClearingDisputeKind.Name(message.kind).removeprefix("CLEARING_DISPUTE_KIND_").lower()
    home = _version(answer, message.home) if message.HasField("home") else None
    asking = _version(answer, message.asking) if message.HasField("asking") else None
    return Disputed(kind, answer, home, asking)


def _version(answer: AnswerKey, message: ClearingVersion) -> Version:
    lines = (
        Line(line.serve_seconds, line.item, line.fee_micro_yuan, line.entries)
        for line in message.lines
    )
    return Version(answer, tuple(lines), message.entries_digest)


def read_region_keys(kept: bytes) -> dict[str, dict[str, Any]]:
    """Return the document keys of regions that were kept in a file: JWK Sets by entity
    identifier. Raises KeysUnavailable."""
    try:
        keys: Any = json.loads(kept)
    except ValueError:
        keys = None
    if not isinstance(keys, dict):
        raise KeysUnavailable("The keys are no JSON object of JWK Sets by entity identifier.")
    return {str(region): read_keys(json.dumps(each).encode()) for region, each in keys.items()}


class ProvedUse(NamedTuple):
    """A use that the region ``home`` signed, for an answer or in its usage log, as its own."""

    home: str
    leaf: UsageLeaf
    detail: UsageDetail | None
    logged: bool

    def supports(self, version: Version) -> bool:
        """Tell whether the answer is one of the version's home region, and has as many records of
        each item at each fee, then and under that request: no region proves what another one
        served."""
        leaf, answer = self.leaf, version.answer
        if (
            self.home != answer.home
            or leaf.kind != UsageKind.USAGE_KIND_ANSWER
            or (leaf.request_id, leaf.chunk) != (answer.request_id, answer.chunk)
            or leaf.client_id != region_client_id(answer.asking)
            or self.detail is None
        ):
            return False
        given = Counter[tuple[int, str, int]]()
        for line in self.detail.lines:
            given[leaf.serve_seconds, line.item, line.unit_price_micro_yuan] += line.entries
        return all(
            line.entries <= given[line.serve_seconds, line.item, line.fee] for line in version.lines
        )


def proved_use(evidence: ClearingEvidence, home: str, key: VerifierKey) -> ProvedUse:
    """Return what a piece of evidence proves by ``key``, that of the receipts of ``home``.

    Raises ProofInvalid.
    """
    if evidence.WhichOneof("evidence") == "logged":
        logged = evidence.logged
        leaf = verify_logged(
            logged.leaf, logged.path, logged.checkpoint, logged.operator_id, key
        ).leaf
        return ProvedUse(home, leaf, detail_of(leaf, logged.detail), True)
    receipt = strictly(UsageReceipt, evidence.receipt)
    leaf = verify_receipt(receipt, key)
    return ProvedUse(home, leaf, detail_of(leaf, receipt.detail), False)


def supported(
    home: Version | None, asking: Version | None, uses: Iterable[ProvedUse]
) -> ClearingStand.ValueType:
    """Return whose version of an answer the home region's own signatures support: `NOBODY` where
    they support neither, or both.

    A log is the home region's own word: where the asking region has no version, it proves that
    the home region counted the use, not that the answer arrived.
    """
    found = list(uses)
    by_home = home is not None and any(use.supports(home) for use in found if not use.logged)
    by_asking = asking is not None and any(use.supports(asking) for use in found)
    if by_home == by_asking:
        return NOBODY
    return HOME if by_home else ASKING


def leaf_of(evidence: ClearingEvidence) -> UsageLeaf | None:
    """Return the leaf that a piece of evidence is of, whoever signed it, None where it is none."""
    is_logged = evidence.WhichOneof("evidence") == "logged"
    try:
        raw = evidence.logged.leaf if is_logged else strictly(UsageReceipt, evidence.receipt).leaf
        return strictly(UsageLeaf, raw)
    except ProofInvalid:
        return None


def uses_in(
    evidence: Iterable[ClearingEvidence], keys: Mapping[str, Collection[VerifierKey]]
) -> list[ProvedUse]:
    """Return what pieces of evidence prove, each of the region by whose key it does.

    ``keys`` are those of receipts, by entity identifier. What proves nothing is left out.
    """
    found: list[ProvedUse] = []
    for piece in evidence:
        for home, of_region in keys.items():
            for key in of_region:
                try:
                    found.append(proved_use(piece, home, key))
                except ProofInvalid:
                    continue
                break
    return found
