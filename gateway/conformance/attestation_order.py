"""Attestations follow one another: not too fast, and none of copies that were read before those of
the last one."""

from datetime import UTC, datetime

from sqlalchemy import Connection

from creditgate.refusal import Refused, Violation, invalid
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.conformance.attestation_rows import last_attested_at, last_read_at


def require_spacing(connection: Connection, operator_id: str, spacing: int, now: int) -> None:
    """Raise Refused RATE_EXCEEDED where an operator attested less than ``spacing`` seconds before
    ``now`` (seconds, UTC)."""
    last = last_attested_at(connection, operator_id)
    if last is not None and last <= now < last + spacing:
        raise Refused(
            RefusalReason.REFUSAL_REASON_RATE_EXCEEDED,
            f"Attest at most once in {spacing} seconds.",
            retry_after=last + spacing - now,
        )


def require_newer(connection: Connection, operator_id: str, read_at: int, now: int) -> None:
    """Raise Refused INVALID_REQUEST where copies that are attested at ``now`` were read, at
    ``read_at`` (seconds, UTC), before those that an operator attested last: they say nothing
    against what it said of these."""
    last = last_read_at(connection, operator_id)
    # A clock that was set back shuts nobody out.
    if last is None or read_at >= min(last, now):
        return
    told = datetime.fromtimestamp(last, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    raise invalid(
        Violation(
            "opening.made_time",
            f"must not be before {told}, when the copies were read that you attested last",
        )
    )
