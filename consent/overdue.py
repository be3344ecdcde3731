"""Removals that were not acknowledged in time: which are to be told of, and which of
those were acknowledged after all."""

from collections.abc import Callable, Collection
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, Engine, Select, TextClause, bindparam, case, select, update

from consent.connections import reader, writing
from consent.tables import (
    CONSENT,
    CONSENT_REMOVAL,
    FOUND,
    IS_LATE,
    IS_MADE_GOOD,
    RECTIFIED,
)
from consent.writes import wrote
from creditgate.federated_query import CLIENT_PREFIX

_REMOVAL: Final = CONSENT_REMOVAL.c


class LateRemoval(NamedTuple):
    """A removal that was due at ``deadline`` (seconds, UTC) and not acknowledged in time."""

    consent_id: str
    operator_id: str
    deadline: int


class SqlOverdue:
    """The overdue removals of one store. Calls block.

    Each is given again until it is noted what was done about it: who gives them does so in one
    process at a time.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reader = reader(engine)

    def late(self, now: int, limit: int) -> list[LateRemoval]:
        """Return up to ``limit`` removals that are overdue at ``now`` (seconds, UTC), or were
        when the word came, and that nobody was told of."""
        return self._read(_some(IS_LATE, limit).where(*_overdue(now)))

    def made_good(self, limit: int) -> list[LateRemoval]:
        """Return up to ``limit`` removals that were told of and are acknowledged by now."""
        return self._read(_some(IS_MADE_GOOD, limit))

    def of_subject(self, subject: str, now: int, limit: int) -> list[LateRemoval]:
        """Return up to ``limit`` removals of what was served of a subject that are overdue at
        ``now`` (seconds, UTC) and still not acknowledged, the longest overdue first.

        Regions are left out: one has a word once its operator has, which may keep what other
        regions gave it for longer, and whom it finds late it tells the subject itself.
        """
        return self._read(
            select(_REMOVAL.consent_id, _REMOVAL.operator_id, _REMOVAL.deadline)
            .join(CONSENT, CONSENT.c.consent_id == _REMOVAL.consent_id)
            .where(
                CONSENT.c.subject == subject,
                ~CONSENT.c.client_id.startswith(CLIENT_PREFIX, autoescape=True),
                _REMOVAL.acknowledged_at.is_(None),
                *_overdue(now),
            )
            .order_by(_REMOVAL.deadline)
            .limit(limit)
        )

    def put_off(
        self, since: int, later: Callable[[ColumnElement[int]], ColumnElement[int]]
    ) -> None:
        """Make the report of each removal that was due at ``since`` (seconds, UTC) or after, and
        is not acknowledged, due as ``later`` says. When copies must be gone stays: that is the
        company's to say."""
        due = case(
            (_REMOVAL.deadline > _REMOVAL.report_by, _REMOVAL.deadline), else_=_REMOVAL.report_by
        )
        change = (
            update(CONSENT_REMOVAL)
            .where(IS_LATE, _REMOVAL.acknowledged_at.is_(None), due >= since)
            .values(report_by=later(due))
            .returning(_REMOVAL.consent_id)
        )
        with writing(self._engine) as connection:
            for consent_id in connection.execute(change).scalars().all():
                wrote(connection, CONSENT_REMOVAL, consent_id)

    def found(self, consent_ids: Collection[str]) -> None:
        """Note that it is told of these."""
        self._note(consent_ids, FOUND)

    def rectified(self, consent_ids: Collection[str]) -> None:
        """Note that it is told of these that they are made good."""
        self._note(consent_ids, RECTIFIED)

    def _read(self, query: Select[str, str, int]) -> list[LateRemoval]:
        with self._reader.connect() as connection:
            return [LateRemoval(*row) for row in connection.execute(query)]

    def _note(self, consent_ids: Collection[str], finding: int) -> None:
        if not consent_ids:
            return
        with writing(self._engine) as connection:
            connection.execute(
                update(CONSENT_REMOVAL)
                .where(_REMOVAL.consent_id == bindparam("of_consent"))
                .values(finding=finding),
                [{"of_consent": each} for each in consent_ids],
            )
            for each in consent_ids:
                wrote(connection, CONSENT_REMOVAL, each)


def _overdue(now: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return _REMOVAL.deadline <= now, _REMOVAL.report_by <= now


def _some(which: TextClause, limit: int) -> Select[str, str, int]:
    return (
        select(_REMOVAL.consent_id, _REMOVAL.operator_id, _REMOVAL.deadline)
        .where(which)
        .order_by(_REMOVAL.deadline)
        .limit(limit)
    )
