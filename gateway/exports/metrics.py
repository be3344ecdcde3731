"""Uses counted for metrics, from when they are first counted on."""

from collections.abc import Sequence
from typing import Final

from creditgate.signed_document import PURPOSES
from gateway.exports.model import Use
from gateway.telemetry.counts import UsageCounts, UsageKey

_AT_ONCE: Final = 10_000


class CountedUses:
    """`gateway.exports.follower.Receiver`: adds uses to ``counts``.

    What was used before there was anybody to count it is not told as if it were used now.
    """

    name = "metrics"
    from_now = True
    at_once = _AT_ONCE

    def __init__(self, counts: UsageCounts) -> None:
        self._counts = counts

    def take(self, uses: Sequence[Use], now: int) -> None:
        """Count uses."""
        del now
        for use in uses:
            key = UsageKey(
                use.operator_id, use.item, PURPOSES[use.purpose], credited=use.records < 0
            )
            self._counts.add(key, abs(use.records), abs(use.fee))
