"""What subjects are told: the changes of their consents that others caused, and what deputies
did for them.

Source: Civil Code of the PRC, article 924 (who acts for another reports what was done).
"""

from typing import Final

from sqlalchemy import Engine, func, or_, select

from consent.connections import reader, writing
from consent.inserts import INSERT
from consent.model import Actor, ConsentChange
from consent.tables import CONSENT_CHANGE, NOTICE_SEEN

MOST_UNREAD: Final = 99
"""Unread notices are counted up to here."""
_CHANGE = CONSENT_CHANGE.c
_NOT_ITS_OWN: Final = or_(_CHANGE.actor != Actor.SUBJECT.value, _CHANGE.delegation != "")


class SqlNotices:
    """The notices of one store, and how far each person has seen them. Calls block."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reader = reader(engine)

    def notices(self, subject: str, *, before: int | None, limit: int) -> tuple[ConsentChange, ...]:
        """Return up to ``limit`` notices of a subject with sequences below ``before``,
        newest first; None begins at the newest."""
        query = (
            select(CONSENT_CHANGE)
            .where(_CHANGE.subject == subject, _NOT_ITS_OWN)
            .order_by(_CHANGE.sequence.desc())
            .limit(limit)
        )
        if before is not None:
            query = query.where(_CHANGE.sequence < before)
        with self._reader.connect() as connection:
            return tuple(
                ConsentChange.model_validate(dict(row))
                for row in connection.execute(query).mappings()
            )

    def unread(self, principal: str, subject: str) -> int:
        """Return how many notices of ``subject`` a person has not seen, at most
        `MOST_UNREAD`."""
        seen = (
            select(NOTICE_SEEN.c.sequence)
            .where(NOTICE_SEEN.c.principal == principal, NOTICE_SEEN.c.subject == subject)
            .scalar_subquery()
        )
        newer = (
            select(_CHANGE.sequence)
            .where(
                _CHANGE.subject == subject,
                _CHANGE.sequence > func.coalesce(seen, 0),
                _NOT_ITS_OWN,
            )
            .limit(MOST_UNREAD)
            .subquery()
        )
        with self._reader.connect() as connection:
            return connection.execute(select(func.count()).select_from(newer)).scalar_one()

    def seen(self, principal: str, subject: str, sequence: int) -> None:
        """Remember that a person has seen the notices of ``subject`` up to ``sequence``.

        What was seen is never unseen: a lower number than before changes nothing.
        """
        add = INSERT[self._engine.dialect.name](NOTICE_SEEN).values(
            principal=principal, subject=subject, sequence=sequence
        )
        query = add.on_conflict_do_update(
            index_elements=[NOTICE_SEEN.c.principal, NOTICE_SEEN.c.subject],
            set_={"sequence": add.excluded.sequence},
            where=NOTICE_SEEN.c.sequence < add.excluded.sequence,
        )
        with writing(self._engine) as connection:
            connection.execute(query)
