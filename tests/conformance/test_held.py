"""Copies kept ready follow each change, whatever comes together."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from creditgate.reconcile.elements import ELEMENT_BYTES
from creditgate.reconcile.symbols import coded
from gateway.conformance.blocks import Facts
from gateway.conformance.held import Columns, Held

KEY = bytes(range(16))
NONE = np.zeros(0, np.int64)
_Served = list[tuple[int, list[int]]]


def served(sequence: int, until: int) -> Facts:
    """Return a revision that was served, its period until then."""
    return Facts(sequence, until, bytes([sequence % 251 + 1]) * ELEMENT_BYTES)


@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.lists(st.integers(1, 20), max_size=3)),
        min_size=1,
        max_size=12,
    )
)
def test_what_ends_by_time_while_more_is_served_is_held_no_longer(steps: _Served) -> None:
    """Each step lets seconds pass, and serves revisions that end so many seconds later."""
    now, known = 0, list[Facts]()
    held = Held(KEY, Columns.none(), now)
    for seconds, lives in steps:
        now += seconds
        more = [served(len(known) + at, now + life) for at, life in enumerate(lives)]
        known += more
        assert held.follow(Columns.of(more, {}), NONE, {}, now)
        live = [each for each in known if each.until > now]
        wanted = coded(b"".join(each.element for each in live), KEY)
        assert held.copies == len(live)
        assert held.symbols(0, 40).packed() == wanted.symbols(0, 40).packed()
