"""A worker whose clock is stepped while it serves, to and fro: by seconds in a file.

Forked as every worker of tests; its line of settings names the file as "clock" besides.
"""

import asyncio
import contextlib
import json
import mmap
import struct
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Final

import uvloop

from gateway.config import GatewayConfig
from gateway.server.process import running_gateway

_OFFSET: Final = struct.Struct("<q")


class SteppedClock:
    """The system's clock, and as many seconds more as the file tells."""

    def __init__(self, file: Path) -> None:
        with file.open("r+b") as opened:
            self._map = mmap.mmap(opened.fileno(), _OFFSET.size)

    @classmethod
    def begun(cls, file: Path) -> "SteppedClock":
        """Return a clock of a new file, which tells the right time."""
        file.write_bytes(_OFFSET.pack(0))
        return cls(file)

    def step_to(self, seconds: int) -> None:
        """Let all clocks of the file be ahead by ``seconds``."""
        _OFFSET.pack_into(self._map, 0, seconds)

    def now(self) -> int:
        """Give whole seconds since the epoch, UTC."""
        return self.micros() // 1_000_000

    def micros(self) -> int:
        """Give whole microseconds since the epoch, UTC."""
        (ahead,) = _OFFSET.unpack_from(self._map)
        return time.time_ns() // 1_000 + ahead * 1_000_000


def main() -> None:
    """Serve until standard input ends."""
    told = json.loads(sys.stdin.readline())
    clock = SteppedClock(Path(told.pop("clock")))
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(_work(GatewayConfig.model_validate_json(json.dumps(told)), clock))


async def _work(config: GatewayConfig, clock: SteppedClock) -> None:
    done = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, done.set)
    async with running_gateway(config, clock) as running:
        print(json.dumps(asdict(running), default=str), flush=True)
        await done.wait()
