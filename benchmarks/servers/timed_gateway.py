"""The gateway, counting the CPU time it verifies tokens with.

``python -m benchmarks.servers.timed_gateway HOME FILE``. At each call FILE gets two
native 64-bit numbers: calls authenticated so far, and nanoseconds of the event loop's
thread in `Guard.authenticate`, where certificate and token become a caller. Asking gRPC for
the certificate counts too, and so does reading the clock, about half a microsecond a call.
"""

import mmap
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.servers.gateway import run
from benchmarks.verification import VERIFIED
from gateway.server.guard import Guard


def _timed(
    authenticate: Callable[..., Any], counts: mmap.mmap, record: struct.Struct
) -> Callable[..., Any]:
    calls = spent = 0
    clock = time.thread_time_ns

    def timed(*arguments: Any) -> Any:
        nonlocal calls, spent
        started = clock()
        caller = authenticate(*arguments)
        spent += clock() - started
        calls += 1
        record.pack_into(counts, 0, calls, spent)
        return caller

    return timed


def _main(home: Path, file: Path) -> None:
    with file.open("w+b") as opened:
        opened.truncate(VERIFIED.size)
        counts = mmap.mmap(opened.fileno(), VERIFIED.size)
    # The server composes its parts itself; no setting makes it measure them one by one.
    Guard.authenticate = _timed(Guard.authenticate, counts, VERIFIED)
    run(home)


if __name__ == "__main__":
    _main(Path(sys.argv[1]), Path(sys.argv[2]))
