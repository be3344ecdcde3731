"""Checks on what operators send, before anything is decided or looked up."""

import re
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final

from google.protobuf.message import Message

from creditgate.federated_query import REGION_REQUEST_ID
from creditgate.refusal import Violation, invalid
from creditgate.request_ids import REQUEST_ID_FORM, is_request_id
from creditgate.uscc import fault
from creditgate.v1.disclosure_proof_pb2 import ProofKind
from gateway.meter.under_consent import RECOGNISED_PREFIX
from operators.shapes import names_province, region_code

MOST_ITEMS: Final = 64
MOST_REGIONS: Final = 64
INCLUSION: Final = ProofKind.PROOF_KIND_INCLUSION
COMPLETE: Final = ProofKind.PROOF_KIND_COMPLETE
_PROOFS: Final = frozenset((INCLUSION, COMPLETE))
_CONSENT: Final = re.compile(r"consents/[A-Za-z0-9._~-]{1,100}")
_RECORD: Final = re.compile(r"records/([A-Za-z0-9._~-]{1,128})")


def common_faults(
    request_id: str,
    items: Sequence[str],
    consent: str,
    proof: int,
    regions: Sequence[str] = (),
    *,
    one_record: bool = False,
    of_region: bool = False,
) -> list[Violation]:
    """Return what is wrong with the fields every record call shares, ``of_region``: of another
    region for one of its operators."""
    faults = request_id_faults(request_id, of_region=of_region)
    if len(items) > MOST_ITEMS:
        faults.append(Violation("items", f"at most {MOST_ITEMS} catalogue item codes"))
    if regions:
        faults += _region_faults(regions)
    if consent and not names_a_consent(consent):
        faults.append(Violation("consent", "must read consents/{id}"))
    if proof and (proof not in _PROOFS or (one_record and proof == COMPLETE)):
        faults.append(
            Violation(
                "proof",
                "INCLUSION or none, since one record is no complete set"
                if one_record
                else "INCLUSION, COMPLETE or none",
            )
        )
    return faults


def _region_faults(regions: Sequence[str]) -> list[Violation]:
    if len(regions) > MOST_REGIONS:
        return [Violation("regions", f"at most {MOST_REGIONS} division codes")]
    faults: list[Violation] = []
    for index, region in enumerate(regions):
        try:
            there_is = names_province(region_code(region))
        except ValueError as fault:
            faults.append(Violation(f"regions[{index}]", str(fault)))
        else:
            if not there_is:
                faults.append(Violation(f"regions[{index}]", "there is no such province"))
    return faults


def request_id_faults(request_id: str, *, of_region: bool = False) -> list[Violation]:
    """Return what is wrong with the idempotency key of a call that is metered."""
    if not is_request_id(request_id):
        mend = f"required: {REQUEST_ID_FORM}, a UUID for choice"
    elif not of_region and REGION_REQUEST_ID.fullmatch(request_id):
        mend = "52 characters of a-z and 2-7 are kept for questions to regions: use a UUID"
    elif request_id.startswith(RECOGNISED_PREFIX):
        # The subject would be told of a recognition.
        mend = f'ids that begin with "{RECOGNISED_PREFIX}" are kept for recognitions: use a UUID'
    else:
        return []
    return [Violation("request_id", mend)]


def names_a_consent(text: str) -> bool:
    """Tell whether ``text`` has the form of a consent's resource name."""
    return _CONSENT.fullmatch(text) is not None


def require_subject(subject: str, faults: Iterable[Violation]) -> None:
    """Raise INVALID_REQUEST unless ``subject`` is a valid code and there are no faults."""
    found = list(faults)
    if reason := fault(subject):
        found.append(Violation("subject", _mend(reason)))
    if found:
        raise invalid(*found)


def subject_fault(index: int, subject: str) -> Violation | None:
    """Return what is wrong with one subject of a batch."""
    reason = fault(subject)
    return Violation(f"subjects[{index}]", _mend(reason)) if reason else None


def _mend(reason: str) -> str:
    return {
        "USCC_LENGTH": "a unified social credit code has 18 characters (GB 32100-2015)",
        "USCC_ALPHABET": "use digits and capitals without I, O, S, V, Z; 3rd to 8th are digits",
        "USCC_CHECK_CHARACTER": "the check character does not fit: a character is mistyped",
    }[reason]


def record_id_of(name: str, faults: Iterable[Violation]) -> str:
    """Return the record id in a resource name, or raise INVALID_REQUEST."""
    found = list(faults)
    match = _RECORD.fullmatch(name)
    if match is None:
        found.append(Violation("name", "must read records/{record_id}"))
    if found or match is None:
        raise invalid(*found)
    return match[1]


def payload_digest(client_id: str, request: Message, chunk_size: int) -> bytes:
    """Return what must be equal for a request id to be a retry (AIP-155).

    ``chunk_size`` belongs to it: chunks of another size are not the ones metered.
    """
    name = request.DESCRIPTOR.full_name
    return sha256(
        f"{client_id}\n{name}\n{chunk_size}\n".encode()
        + request.SerializeToString(deterministic=True)
    ).digest()
