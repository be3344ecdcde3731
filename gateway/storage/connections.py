"""Whether PostgreSQL lets an installation have the connections it may open."""

from typing import Final

from sqlalchemy import Connection, text

from gateway.storage.engines import Pools

_BELLS: Final = 1
"""A process's session that hears of changed authority."""
TURNS: Final = 15
"""Sessions by which work in the background has its turn: on one of all hosts, of one process."""
# What is left of the server's for others than superusers, of the database's and of the role's;
# -1 is without limit.
_LIMITS: Final = text(
    "SELECT current_setting('max_connections')::int"
    " - current_setting('superuser_reserved_connections')::int"
    " - coalesce(current_setting('reserved_connections', true), '0')::int,"
    " (SELECT datconnlimit FROM pg_database WHERE datname = current_database()),"
    " (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user)"
)


def most_opened(workers: int, pools: Pools) -> int:
    """Return how many connections a host may open at most: of ``workers`` processes that serve
    and a keeper."""
    return (workers + 1) * (pools.most + _BELLS) + TURNS


def allowed(connection: Connection) -> int:
    """Return how many connections PostgreSQL lets the database's user have."""
    limits = connection.execute(_LIMITS).one()
    return min(limit for limit in limits if limit >= 0)


def shortage(connection: Connection, workers: int, connections: int) -> str:
    """Return what there are too few connections for and what mends it, "" where there are enough
    or the store is no PostgreSQL.

    ``connections`` is what a process keeps open for records.
    """
    if connection.dialect.name != "postgresql":
        return ""
    wanted, given = most_opened(workers, Pools.of(connections)), allowed(connection)
    if wanted <= given:
        return ""
    return (
        f"PostgreSQL lets this gateway have {given} connections, and this host alone may open"
        f" {wanted}: calls will fail when it is busy. Raise max_connections (or the limit of the"
        " database or role), or lower database_connections or workers."
    )
