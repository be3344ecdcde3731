"""When to look whether the data life of the last copy under a live consent is over."""

from collections.abc import Collection

from sqlalchemy import Connection, delete

from consent.inserts import INSERT
from consent.tables import CONSENT_LIFE


def begin(connection: Connection, consent_ids: Collection[str], look_at: int) -> None:
    """Have consents looked at from ``look_at`` on (seconds, UTC), but those that are already."""
    if not consent_ids:
        return
    add = INSERT[connection.dialect.name](CONSENT_LIFE).on_conflict_do_nothing()
    connection.execute(
        add, [{"consent_id": each, "look_at": look_at} for each in sorted(consent_ids)]
    )


def plan(connection: Connection, consent_id: str, look_at: int | None) -> None:
    """Have a consent looked at next at ``look_at`` (seconds, UTC); None for never again."""
    if look_at is None:
        connection.execute(delete(CONSENT_LIFE).where(CONSENT_LIFE.c.consent_id == consent_id))
        return
    add = INSERT[connection.dialect.name](CONSENT_LIFE).values(
        consent_id=consent_id, look_at=look_at
    )
    connection.execute(
        add.on_conflict_do_update(
            index_elements=[CONSENT_LIFE.c.consent_id], set_={"look_at": look_at}
        )
    )
