"""How far the follower of holdings has come in each log: kept with what it followed."""

from typing import Final

from sqlalchemy import Connection, bindparam, insert, select, update

from gateway.conformance.holdings_tables import POSITIONS

EVENTS: Final = "events"
"""The disclosure events."""
_ANSWERS: Final = "usage:"
_COME_TO: Final = select(POSITIONS.c.position).where(POSITIONS.c.name == bindparam("of_log"))
_COME_TO_ANSWERS: Final = select(POSITIONS.c.name, POSITIONS.c.position).where(
    POSITIONS.c.name.startswith(_ANSWERS)
)

_MOVED: Final = (
    update(POSITIONS)
    .where(POSITIONS.c.name == bindparam("of_log"))
    .values(position=bindparam("come_to"))
)


def answers_to(operator_id: str) -> str:
    """Return the name of the answers to an operator, as a log."""
    return f"{_ANSWERS}{operator_id}"


def come_to(connection: Connection, name: str) -> int:
    """Return the position up to which a log was followed, 0 at first."""
    return connection.execute(_COME_TO, {"of_log": name}).scalar() or 0


def come_to_answers(connection: Connection) -> dict[str, int]:
    """Return the position up to which the answers to each operator were followed."""
    rows = connection.execute(_COME_TO_ANSWERS)
    return {name.removeprefix(_ANSWERS): at for name, at in rows}


def come_further(connection: Connection, name: str, position: int) -> None:
    """Keep that a log was followed up to ``position``; one follower at a time."""
    moved = connection.execute(_MOVED, {"of_log": name, "come_to": position})
    if not moved.rowcount:
        connection.execute(insert(POSITIONS).values(name=name, position=position))
