"""What operators send of their copies, checked: openings, copies, symbols."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from creditgate.reconcile.symbols import FORMAT_VERSION, SYMBOL_BYTES, Symbols
from creditgate.refusal import Violation, invalid
from creditgate.request_ids import REQUEST_ID_FORM, is_request_id
from creditgate.transparency.facts import NO_END, Copy
from creditgate.v1 import conformance_service_pb2 as pb
from gateway.catalogue.admission import RECORD_ID
from gateway.instants import instant_faults

MOST_COPIES: Final = 50_000_000
"""Most copies of one attestation."""
MOST_AT_ONCE: Final = 10_000
"""Most copies of one message."""
_MOST_FAULTS: Final = 100
_DIGEST_BYTES: Final = 32
_RECORDS: Final = "records/"


def require_opening(opening: pb.AttestationOpening) -> None:
    """Raise INVALID_REQUEST unless an opening is well-formed."""
    faults: list[Violation] = []
    if not is_request_id(opening.request_id):
        faults.append(Violation("opening.request_id", f"required: {REQUEST_ID_FORM}"))
    if opening.disclosure_sequence < 0:
        faults.append(
            Violation("opening.disclosure_sequence", "use the position of an event, or 0")
        )
    if not 0 <= opening.copies <= MOST_COPIES:
        faults.append(Violation("opening.copies", f"attest 0 to {MOST_COPIES} copies"))
    if opening.format_version != FORMAT_VERSION:
        faults.append(Violation("opening.format_version", f"use version {FORMAT_VERSION}"))
    if opening.HasField("made_time"):
        faults += instant_faults("opening.made_time", opening.made_time)
    if faults:
        raise invalid(*faults)


def opening_digest(opening: pb.AttestationOpening) -> bytes:
    """Return what tells one opening from another of the same request id (AIP-155)."""
    said = f"{opening.copies} {opening.disclosure_sequence} {opening.format_version}"
    if opening.HasField("made_time"):
        said += f" {opening.made_time.seconds}"
    return sha256(said.encode()).digest()


def copies_in(messages: Iterable[pb.CopyDigest]) -> list[Copy]:
    """Return the copies of one message; raises INVALID_REQUEST."""
    sent = list(messages)
    if len(sent) > MOST_AT_ONCE:
        raise invalid(Violation("copies.copies", f"send at most {MOST_AT_ONCE} in a message"))
    faults: list[Violation] = []
    copies: list[Copy] = []
    for index, message in enumerate(sent):
        record_id = message.record.removeprefix(_RECORDS)
        from_, until = message.disclosed_from, message.disclosed_until
        if (
            not message.record.startswith(_RECORDS)
            or RECORD_ID.fullmatch(record_id) is None
            or len(message.content_digest) != _DIGEST_BYTES
            or not message.HasField("disclosed_from")
            or instant_faults("", from_)
            or instant_faults("", until)
            or _ends_early(message)
        ):
            faults += _faults(f"copies.copies[{index}]", message)
            continue
        end = until.seconds if message.HasField("disclosed_until") else NO_END
        copies.append(Copy(record_id, message.content_digest, from_.seconds, end))
    if faults:
        raise invalid(*faults[:_MOST_FAULTS])
    return copies


def symbols_in(message: pb.CodedSymbols, first: int, wanted: int) -> Symbols:
    """Return the ``wanted`` symbols asked for, from ``first``; raises INVALID_REQUEST."""
    if message.first_index != first or len(message.symbols) != wanted * SYMBOL_BYTES:
        raise invalid(
            Violation(
                "symbols",
                f"send the {wanted} symbols asked for, from index {first}, {SYMBOL_BYTES} bytes"
                " each",
            )
        )
    return Symbols.unpacked(message.symbols)


def _faults(at: str, message: pb.CopyDigest) -> list[Violation]:
    faults: list[Violation] = []
    record_id = message.record.removeprefix(_RECORDS)
    if not message.record.startswith(_RECORDS) or RECORD_ID.fullmatch(record_id) is None:
        faults.append(Violation(f"{at}.record", "must read records/{record_id}"))
    if len(message.content_digest) != _DIGEST_BYTES:
        faults.append(Violation(f"{at}.content_digest", "use SHA-256 of the content, 32 bytes"))
    if not message.HasField("disclosed_from"):
        faults.append(Violation(f"{at}.disclosed_from", "required"))
    faults += instant_faults(f"{at}.disclosed_from", message.disclosed_from)
    faults += instant_faults(f"{at}.disclosed_until", message.disclosed_until)
    if not faults and _ends_early(message):
        faults.append(Violation(f"{at}.disclosed_until", "must come after disclosed_from"))
    return faults


def _ends_early(message: pb.CopyDigest) -> bool:
    """Tell whether the period of a copy holds no instant: nothing is ever disclosed so."""
    return (
        message.HasField("disclosed_until")
        and message.disclosed_until.seconds <= message.disclosed_from.seconds
    )
