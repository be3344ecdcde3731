"""How a process looks after its memory."""

import gc
from typing import Final

_ALLOCATIONS: Final = 10_000


def collect_rarely() -> None:
    """Let the cycle collector rest: at its usual pace it takes a tenth of the time.

    A call must leave no cycle that holds its stream (see the transport), and what was loaded at start stays for ever: it is
    put aside, and the collector runs after every 10,000 allocations, not every 700.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS, 10, 10)
