"""Clearings between regions, verified offline by the keys of both; and evidence on disputes."""

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple

from google.protobuf import json_format

from creditgate.clearing import (
    ACCEPTANCE_TYPE,
    CLEARING_TYPE,
    MOST_CHARACTERS,
    Clearing,
    ClearingAcceptance,
    ClearingEntry,
    Dispute,
    disputes_of,
    document_digest,
)
from creditgate.federated_query import region_client_id
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import VerifierKey
from creditgate.transparency.strict import strictly
from creditgate.transparency.usage import detail_of, verify_logged, verify_receipt
from creditgate.v1.clearing_service_pb2 import ClearingStand, GetClearingResponse
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

    Its disputes are what follows from their entries. Raises DocumentRefused.
    """
    clearing = _CLEARING.verified(document, keys, proposing).document
    regions = {clearing.iss, clearing.other}
    told = [each.dispute for each in clearing.disputes]
    if len(regions) != 2 or not clearing.start < clearing.until:
        raise DocumentRefused("It is no clearing between two regions for some time.")
    if not all(
        each.versions
        and all({one.home, one.asking} == regions for one in each.versions)
        and all(one.serve_seconds < clearing.until for one in each.versions)
        for each in told
    ):
        raise DocumentRefused("A dispute in it is none of these regions and this time.")
    own = [one for each in told if (one := each.version(proposing)) is not None]
    other = [one for each in told if (one := each.version(clearing.other)) is not None]
    if disputes_of(own, other, proposing, clearing.until) != told:
        raise DocumentRefused("The disputes in it are not what follows from their entries.")
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


class KeptClearing(NamedTuple):
    """A clearing as it was kept: what both signed, who proposed it, and evidence on disputes."""

    document: str
    acceptance: str
    proposing: str
    evidence: tuple[ClearingEvidence, ...]

    def verified(self, keys: Mapping[str, Mapping[str, Any]]) -> Clearing:
        """Return what it says, once both signed it; see `verified_clearing`."""
        return verified_clearing(self.document, self.acceptance, keys, self.proposing)


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
        tuple(answer.evidence),
    )


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

    def supports(self, entry: ClearingEntry) -> bool:
        """Tell whether the answer is one of the entry's home region, and has records of its item
        at its fee, then and under that request: no region proves what another one served."""
        leaf = self.leaf
        return (
            self.home == entry.home
            and leaf.kind == UsageKind.USAGE_KIND_ANSWER
            and (leaf.request_id, leaf.chunk, leaf.serve_seconds)
            == (entry.request_id, entry.chunk, entry.serve_seconds)
            and leaf.client_id == region_client_id(entry.asking)
            and self.detail is not None
            and any(
                (line.item, line.unit_price_micro_yuan) == (entry.item, entry.fee)
                for line in self.detail.lines
            )
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


def supported(dispute: Dispute, uses: Iterable[ProvedUse]) -> ClearingStand.ValueType:
    """Return whose version the home region's own signatures support: `NOBODY` where they support
    neither, or both.

    A log is the home region's own word: where the asking region has no version, it proves that
    the home region counted the use, not that the answer arrived.
    """
    found = list(uses)
    home = dispute.home_entry is not None and any(
        use.supports(dispute.home_entry) for use in found if not use.logged
    )
    asking = dispute.asking_entry is not None and any(
        use.supports(dispute.asking_entry) for use in found
    )
    if home == asking:
        return NOBODY
    return HOME if home else ASKING


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
