"""Hedging: when a second, equal question is worth asking. Pure but for what it remembers.

A region that has not begun to answer after the time in which it nearly always has is asked
once more, under the same request id, so that it charges once; whichever answer begins first is
taken. Few questions may be hedged, so that a region which is slow because it is busy is not
made busier. Source: J. Dean, L. A. Barroso, The Tail at Scale, CACM 56(2), 2013.
"""

from collections import deque
from math import ceil
from typing import Final

QUANTILE: Final = 0.95
LEAST_SAMPLES: Final = 20
MOST_SAMPLES: Final = 256
LEAST_SECONDS: Final = 0.005
SHARE: Final = 0.1
"""Most hedges, as a share of questions."""
MOST_SAVED: Final = 10.0
"""Most hedges that may come at once after a quiet time."""


class Hedging:
    """What one region's beginnings of answers took lately, and how many hedges it may have."""

    def __init__(self) -> None:
        self._took: deque[float] = deque(maxlen=MOST_SAMPLES)
        self._saved = 1.0

    def began(self, seconds: float) -> None:
        """Remember how long the beginning of an answer took."""
        self._took.append(seconds)

    def asked(self) -> None:
        """Count a question."""
        self._saved = min(self._saved + SHARE, MOST_SAVED)

    def delay(self) -> float | None:
        """Return after how many seconds of silence to ask once more, None while too little is
        known of the region."""
        if len(self._took) < LEAST_SAMPLES:
            return None
        in_order = sorted(self._took)
        return max(LEAST_SECONDS, in_order[ceil(QUANTILE * len(in_order)) - 1])

    def take(self) -> bool:
        """Tell whether one more question may be hedged, and count it if so."""
        if self._saved < 1.0:
            return False
        self._saved -= 1.0
        return True
