"""Attestations follow one another: not too fast, none of copies that were read before those of the
last one, and none twice. Pure."""

from datetime import UTC, datetime

from creditgate.refusal import Refused, Violation, invalid
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.conformance.attestation_rows import Last
from gateway.conformance.model import Attestation


def as_opened(known: Attestation, opening: bytes) -> Attestation:
    """Return the attestation that was made by the same request before. Raises Refused
    REQUEST_ID_REUSED where that was opened otherwise (AIP-155)."""
    if known.opening not in (None, opening):
        raise Refused(
            RefusalReason.REFUSAL_REASON_REQUEST_ID_REUSED,
            "This request_id has attested another number of copies, or as of another event; use a"
            " new one.",
        )
    return known


def require_spacing(last: Last, spacing: int, now: int) -> None:
    """Raise Refused RATE_EXCEEDED where an operator attested less than ``spacing`` seconds before
    ``now`` (seconds, UTC)."""
    if last.at is not None and last.at <= now < last.at + spacing:
        raise Refused(
            RefusalReason.REFUSAL_REASON_RATE_EXCEEDED,
            f"Attest at most once in {spacing} seconds.",
            retry_after=last.at + spacing - now,
        )


def require_newer(last: Last, read_at: int, now: int) -> None:
    """Raise Refused INVALID_REQUEST where copies that are attested at ``now`` were read, at
    ``read_at`` (seconds, UTC), before those that an operator attested last: they say nothing
    against what it said of these."""
    # A clock that was set back shuts nobody out.
    if last.read_at is None or read_at >= min(last.read_at, now):
        return
    told = datetime.fromtimestamp(last.read_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    raise invalid(
        Violation(
            "opening.made_time",
            f"must not be before {told}, when the copies were read that you attested last",
        )
    )
