"""Which uses a component of a price plan charged, by what a statement says of it. Pure."""

from bisect import bisect_right

from creditgate.v1.usage_service_pb2 import Statement

_Kind = tuple[str, str, str, int]


class ChargedUses:
    """The uses of a month that the charges of one component are about, a free tier's or a cap's
    among them. ``component_id`` as in StatementCharge."""

    def __init__(self, statement: Statement, component_id: str) -> None:
        charges = {
            number: (charge.period.start_time.seconds, charge.period.end_time.seconds)
            for number, charge in enumerate(statement.charges)
            if charge.component_id == component_id
        }
        # A month has parts where prices or classes change; a detail is of one of them.
        self._parts = sorted({detail.part_from.seconds for detail in statement.details})
        self._periods: dict[tuple[_Kind, int], list[tuple[int, int]]] = {}
        for detail in statement.details:
            if detail.charge in charges:
                kind = detail.item, detail.source, detail.region, detail.purpose
                of_part = self._periods.setdefault((kind, detail.part_from.seconds), [])
                of_part.append(charges[detail.charge])

    def has(self, item: str, source: str, region: str, purpose: int, served_at: int) -> bool:
        """Tell whether a use is among them; ``served_at`` in seconds, UTC."""
        part = bisect_right(self._parts, served_at)
        if not part:
            return False
        periods = self._periods.get(((item, source, region, purpose), self._parts[part - 1]), ())
        return any(start <= served_at < end for start, end in periods)
