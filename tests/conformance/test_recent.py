"""What was told of late is given whole, or not at all."""

from hypothesis import given
from hypothesis import strategies as st

from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from creditgate.v1.vocabulary_pb2 import Severity
from gateway.conformance.event_pages import WatchedEvent
from gateway.conformance.recent import Recent, Told

_REPAIRED = DisclosureEventKind.DISCLOSURE_EVENT_KIND_REPAIRED


def told(sequence: int) -> Told:
    """Return an event at a position."""
    event = WatchedEvent(
        sequence, _REPAIRED, 0, "r", 1, "s", "i", "000000", b"", 0, 1,
        Severity.SEVERITY_MINOR, 0, (),
    )  # fmt: skip
    return Told(event)


@given(
    begun=st.integers(0, 20),
    # How far the log went on with each look, and which of those positions are told of.
    looks=st.lists(st.lists(st.booleans(), max_size=7), max_size=12),
    limit=st.integers(1, 5),
)
def test_a_page_has_all_that_came_behind_a_position_and_none_is_given_with_a_gap(
    begun: int, looks: list[list[bool]], limit: int
) -> None:
    recent, kept = Recent(most=4), list[int]()
    recent.begin_anew(begun)
    at = begun
    for look in looks:
        some = [at + 1 + offset for offset, is_told in enumerate(look) if is_told]
        at += len(look)
        recent.add([told(sequence) for sequence in some], at)
        kept += some
    for position in range(at + 2):
        page = recent.after(position, limit)
        behind = [sequence for sequence in kept if sequence > position]
        if page is None:
            # What gives way is more than is kept, or was before it began.
            assert position < begun or len(behind) > 4
            continue
        assert position >= begun
        assert [each.event.sequence for each in page.told] == behind[:limit]
        whole = len(behind) <= limit
        assert page.read_to == (max(at, position) if whole else behind[limit - 1])
        # Bounded: twice what is kept, and one look.
        assert len(behind) <= 2 * 4 + 7
