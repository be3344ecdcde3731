"""What of the day's quota is left for one question, over all its regions. Pure."""

from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.meter.model import SECONDS_A_DAY, NotCharged
from gateway.respond.refusals import not_charged


class QuotaLeft:
    """Counts records down; ``left`` None for a retry, whose records were counted before.

    It is looked at between chunks: the one that uses it up is passed on whole, since the region
    has charged it, and nothing is asked for after it.
    """

    def __init__(self, left: int | None, now: int) -> None:
        self._left = left
        self._until_next = SECONDS_A_DAY - now % SECONDS_A_DAY

    def take(self, records: int) -> None:
        """Count records that were passed on and charged."""
        if self._left is not None:
            self._left -= records

    def require(self) -> None:
        """Raise Refused QUOTA_EXHAUSTED where nothing is left."""
        if self._left is not None and self._left <= 0:
            raise not_charged(
                NotCharged(RefusalReason.REFUSAL_REASON_QUOTA_EXHAUSTED, self._until_next)
            )
