"""How long an answer may be under way: what of it was not handed over by then is not given."""

from typing import Final

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason

UNDER_WAY_SECONDS: Final = 600
"""So long after it was metered, or given again, parts of an answer are handed over at most. Who
attests meanwhile cannot have them yet (`gateway.conformance.answered`)."""


def require_under_way(begun_at: int, now: int) -> None:
    """Raise Refused TEMPORARILY_UNAVAILABLE where a chunk of an answer that was begun at
    ``begun_at`` may not be given any further at ``now`` (seconds, UTC)."""
    if now - begun_at >= UNDER_WAY_SECONDS:
        raise Refused(
            RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE,
            f"A part of the answer was not taken within {UNDER_WAY_SECONDS} seconds. Send the same"
            " request again, from where you have come to: what was metered is not charged again.",
            retry_after=1,
        )
