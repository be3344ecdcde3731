"""How far the clerk has come in each log it follows: kept, so that it goes on where it was."""

from collections.abc import Collection
from typing import Final

from sqlalchemy import Connection, bindparam, insert, select, update

from consent.tables import FOLLOWED

AUTHORITY: Final = "authority"
"""The authority log, as far as consents went the way of their operators."""
AUTHORITY_SETTLED: Final = "authority-settled"
"""The authority log, as far as no process acts any more on what was before."""
REVOCATIONS: Final = "revoked-consents"
"""The log of consents' changes, as far as grants that rested on revoked ones were ended."""
LIVES: Final = "consent-lives"
"""The log of consents' changes, as far as it is known of granted ones when to look at them."""


_KEPT: Final = select(FOLLOWED.c.sequence).where(FOLLOWED.c.name == bindparam("of_log"))
_ALL_KEPT: Final = select(FOLLOWED.c.name, FOLLOWED.c.sequence).where(
    FOLLOWED.c.name.in_(bindparam("of_logs", expanding=True))
)
_BEGUN: Final = insert(FOLLOWED)
_FORWARD: Final = (
    update(FOLLOWED)
    .where(FOLLOWED.c.name == bindparam("of_log"), FOLLOWED.c.sequence < bindparam("come_to"))
    .values(sequence=bindparam("come_to"))
)


def places(connection: Connection, names: Collection[str]) -> dict[str, int]:
    """Return the sequence up to which each of these logs was followed, 0 at first."""
    kept = dict(connection.execute(_ALL_KEPT, {"of_logs": names}).all())
    return {name: kept.get(name, 0) for name in names}


def come_to(connection: Connection, name: str) -> int:
    """Return the sequence up to which the log of ``name`` was followed, 0 at first."""
    return connection.execute(_KEPT, {"of_log": name}).scalar() or 0


def come_further(connection: Connection, name: str, sequence: int) -> None:
    """Keep that the log of ``name`` was followed up to ``sequence``; it never goes back."""
    known = connection.execute(_KEPT, {"of_log": name}).scalar()
    if known is None:
        connection.execute(_BEGUN, {"name": name, "sequence": sequence})
    else:
        connection.execute(_FORWARD, {"of_log": name, "come_to": sequence})
