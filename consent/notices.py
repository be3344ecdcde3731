"""What subjects are told: the changes of their consents that others caused, what deputies did
for them, and who became their deputy.

Source: Civil Code of the PRC, article 924 (who acts for another reports what was done).
"""

from typing import Final

from sqlalchemy import Engine, Select, func, or_, select

from consent.connections import reader, writing
from consent.delegation import INVITATION_SECONDS, Delegation
from consent.inserts import INSERT
from consent.model import Actor, ConsentChange
from consent.tables import CONSENT_CHANGE, DELEGATION, NOTICE_SEEN

MOST_UNREAD: Final = 99
"""Unread notices are counted up to here."""
# Seen by time, where the notices of consents are seen by place: in rows of their own.
_ACCEPTED: Final = "accepted:"
_CHANGE = CONSENT_CHANGE.c
_D = DELEGATION.c
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
        seen = _seen(principal, subject).scalar_subquery()
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

    def accepted(self, principal: str, subject: str) -> tuple[Delegation, ...]:
        """Return the delegations of ``subject`` whose acceptance a person has not seen, the last
        accepted first, at most `MOST_UNREAD`."""
        with self._reader.connect() as connection:
            query = _seen(_ACCEPTED + principal, subject)
            seen = connection.execute(query).scalar_one_or_none() or 0
            documents = connection.execute(
                select(_D.document)
                .where(
                    _D.subject == subject,
                    _D.deputy != "",
                    _D.invited_at > seen - INVITATION_SECONDS,
                )
                .order_by(_D.invited_at.desc(), _D.delegation_id)
                .limit(MOST_UNREAD)
            )
            found = map(Delegation.model_validate_json, documents.scalars())
            unseen = [each for each in found if (each.accepted_at or 0) > seen]
        return tuple(sorted(unseen, key=lambda each: each.accepted_at or 0, reverse=True))

    def accepted_seen(self, principal: str, subject: str, at: int) -> None:
        """Remember that a person has seen who accepted delegations of ``subject`` up to ``at``
        (seconds, UTC), as `seen` does."""
        self.seen(_ACCEPTED + principal, subject, at)


def _seen(principal: str, subject: str) -> Select[int]:
    return select(NOTICE_SEEN.c.sequence).where(
        NOTICE_SEEN.c.principal == principal, NOTICE_SEEN.c.subject == subject
    )
