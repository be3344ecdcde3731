"""How long what was decided is handed over without being decided anew.

Parts of an answer may wait: for a window, or for a client that reads slowly. Consent, licence
and disclosure may have changed by then (guarantees G1, G4, G9), so what waited longer than this
is decided anew before it is given, as a retry is.
"""

from collections.abc import Callable
from typing import Final

from gateway.clock import Clock
from gateway.respond.answer import Selection
from gateway.respond.refusals import changing

HOLDS_SECONDS: Final = 1
"""Whatever becomes of a consent acts within this time (G4); of a clock in whole seconds."""


def holding(clock: Clock, as_it_was: Callable[[], bool]) -> Callable[[], bool]:
    """Return what tells whether what is decided from now on may be given still: while authority is
    ``as_it_was``, for a moment."""
    good_until = clock.now() + HOLDS_SECONDS
    return lambda: as_it_was() and clock.now() < good_until


def require_same(again: Selection, selection: Selection) -> None:
    """Raise Refused DISCLOSURE_CHANGING where what was decided anew is another answer."""
    if (again.sequences, again.frames) != (selection.sequences, selection.frames):
        raise changing()
