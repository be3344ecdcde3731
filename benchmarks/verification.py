"""What `benchmarks.servers.timed_gateway` counts, and how it is read."""

import struct
from pathlib import Path
from typing import Final, NamedTuple, Self

VERIFIED: Final = struct.Struct("=qq")
"""Calls authenticated, and nanoseconds of CPU that took."""


class Verified(NamedTuple):
    """What was verified up to one moment."""

    calls: int
    nanoseconds: int

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read what the server counted so far."""
        return cls(*VERIFIED.unpack(file.read_bytes()))

    def since(self, before: "Verified") -> "Verified":
        """Return what came after ``before``."""
        return Verified(self.calls - before.calls, self.nanoseconds - before.nanoseconds)

    @property
    def seconds(self) -> float:
        """CPU seconds."""
        return self.nanoseconds / 1e9

    @property
    def per_call(self) -> float:
        """Microseconds of CPU for each call."""
        return self.nanoseconds / 1e3 / self.calls
