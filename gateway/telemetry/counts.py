"""What is counted, as plain integers: the hot path adds, an exporter reads now and then.

Each count has one writing thread; a reader may see it a moment old, never wrong.
"""

from bisect import bisect_left
from itertools import accumulate
from typing import Final, NamedTuple

from creditgate.v1.refusal_pb2 import RefusalReason

CALL_SECONDS: Final = (
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0,
)  # fmt: skip
GROUP_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)
MOST_USES: Final = 2_000
"""Kinds of use told apart; what is more is counted together."""


class Distribution:
    """How often values fell below each of ``bounds`` (inclusive), and their sum."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.sum: float = 0
        self._counts = [0] * (len(bounds) + 1)

    def add(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def cumulative(self) -> tuple[int, ...]:
        """Return the number of values up to each bound; the last is of all values."""
        return tuple(accumulate(self._counts))


class CallKind(NamedTuple):
    """Calls told apart: by method ("CreditRecordService/GetRecord"), gRPC status name and
    reason of refusal, unspecified where the gateway refused nothing."""

    method: str
    status: str
    reason: RefusalReason.ValueType


class CallCounts:
    """Calls ended, by kind, and how long they took, by method."""

    def __init__(self) -> None:
        self.ended: dict[CallKind, int] = {}
        self.seconds: dict[str, Distribution] = {}

    def add(
        self, method: str, status: str, reason: RefusalReason.ValueType, seconds: float
    ) -> None:
        """Count a call that ended after ``seconds``."""
        kind = CallKind(method, status, reason)
        self.ended[kind] = self.ended.get(kind, 0) + 1
        taken = self.seconds.get(method)
        if taken is None:
            taken = self.seconds[method] = Distribution(CALL_SECONDS)
        taken.add(seconds)


class StepCounts:
    """How long the steps of traced calls took, by the name of the step that ended."""

    def __init__(self) -> None:
        self.seconds: dict[str, Distribution] = {}

    def add(self, step: str, seconds: float) -> None:
        """Count a step that ended ``seconds`` after the one before it."""
        taken = self.seconds.get(step)
        if taken is None:
            taken = self.seconds[step] = Distribution(CALL_SECONDS)
        taken.add(seconds)


class MeteringCounts:
    """How many claims shared a commit."""

    def __init__(self) -> None:
        self.groups = Distribution(GROUP_SIZES)

    def add_group(self, size: int) -> None:
        """Count one group commit of ``size`` claims."""
        self.groups.add(size)


class PulseCounts:
    """For how many seconds the keeper gave no sign (``silent_seconds``), and how often it was
    taken for lost (``losses``)."""

    def __init__(self) -> None:
        self.silent_seconds = 0
        self.losses = 0


class CertificateCounts:
    """For how many seconds certificates hold (``left_seconds``), by the setting that names their
    file; below zero once one is over."""

    def __init__(self) -> None:
        self.left_seconds: dict[str, int] = {}


class UsageKey(NamedTuple):
    """Uses told apart: by operator, item and purpose (its name), and whether they were given or
    credited later."""

    operator_id: str
    item: str
    purpose: str
    credited: bool


OTHER_USES: Final = None
"""What uses are counted by beyond `MOST_USES` kinds."""


class UsageCounts:
    """Records used and their fees (micro-yuan, at list price), by kind of use."""

    def __init__(self) -> None:
        self.used: dict[UsageKey | None, tuple[int, int]] = {}

    def add(self, key: UsageKey, records: int, fee: int) -> None:
        """Count uses; neither number is negative."""
        known: UsageKey | None = key
        if key not in self.used and len(self.used) >= MOST_USES:
            known = OTHER_USES
        so_far = self.used.get(known, (0, 0))
        self.used[known] = so_far[0] + records, so_far[1] + fee
