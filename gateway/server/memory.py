"""How a process looks after its memory."""

import gc
from typing import Final

_ALLOCATIONS: Final = 10_000
_ALLOCATIONS_LOADING: Final = 200_000


def load_quickly() -> None:
    """Let the cycle collector rest while code is loaded, which leaves nothing to collect: at its
    usual pace it takes a sixth of that time."""
    gc.set_threshold(_ALLOCATIONS_LOADING, 10, 10)


def keep_loaded() -> None:
    """Put aside what was loaded, which stays for ever: the collector looks through it once, and
    who is forked from this process shares its memory, for it touches it no more."""
    gc.collect()
    gc.freeze()


def collect_rarely() -> None:
    """Let the cycle collector rest: at its usual pace it takes a tenth of the time.

    A call must leave no cycle that holds its stream (see the transport), and what was loaded at
    start is put aside; the collector runs after every 10,000 allocations, not every 700.
    """
    keep_loaded()
    gc.set_threshold(_ALLOCATIONS, 10, 10)
