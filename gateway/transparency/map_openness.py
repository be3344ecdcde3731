"""Which items are protected: now, and at the time of each event."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, delete, insert, select

from gateway.transparency.map_tables import MAP_OPENNESS


class Openness:
    """What the map has known of items' openness, in order of events. Immutable."""

    def __init__(self, spans: Iterable[tuple[str, int, bool]]) -> None:
        self._spans: dict[str, list[tuple[int, bool]]] = {}
        for item, from_event, protected in sorted(spans):
            self._spans.setdefault(item, []).append((from_event, protected))

    def protected(self, item: str) -> bool | None:
        """Tell whether an item is protected in the map; None for one it does not know."""
        spans = self._spans.get(item)
        return None if spans is None else spans[-1][1]

    def protected_items(self) -> list[str]:
        """Return the codes of all items that are protected now, in order."""
        return [item for item, spans in self._spans.items() if spans[-1][1]]

    def protected_at(self, item: str, event_sequence: int) -> bool:
        """Tell whether the commitment of an event of the item is made of the digest of a
        protected member. Raises LookupError for an event before the item was known."""
        for from_event, protected in reversed(self._spans[item]):
            if from_event <= event_sequence:
                return protected
        raise LookupError(item)


def read_openness(connection: Connection) -> Openness:
    """Return what is kept of items' openness."""
    columns = MAP_OPENNESS.c.item, MAP_OPENNESS.c.from_event, MAP_OPENNESS.c.protected
    rows: Sequence[tuple[str, int, bool]] = [
        (item, from_event, bool(protected))
        for item, from_event, protected in connection.execute(select(*columns))
    ]
    return Openness(rows)


def keep_openness(connection: Connection, item: str, from_event: int, *, protected: bool) -> None:
    """Keep from which event on an item is protected, or is not."""
    own = MAP_OPENNESS.c.item == item, MAP_OPENNESS.c.from_event == from_event
    connection.execute(delete(MAP_OPENNESS).where(*own))
    connection.execute(
        insert(MAP_OPENNESS).values(item=item, from_event=from_event, protected=protected)
    )
