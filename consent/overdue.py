"""Removals that were not acknowledged in time: which are to be told of, and which of
those were acknowledged after all."""

from collections.abc import Callable, Collection
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Engine,
    Select,
    TextClause,
    bindparam,
    case,
    exists,
    func,
    literal,
    or_,
    select,
    tuple_,
    update,
)

from consent.beginnings import begins_with
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
_OVERDUE: Final = (_REMOVAL.deadline <= bindparam("now"), _REMOVAL.report_by <= bindparam("now"))
_other = CONSENT_REMOVAL.alias()
_MORE_OPEN: Final = exists().where(
    _other.c.consent_id == _REMOVAL.consent_id,
    _other.c.finding == FOUND,
    _other.c.acknowledged_at.is_(None),
)


class LateRemoval(NamedTuple):
    """A removal of copies whose data life was over by ``life_until``, that was due at ``deadline``
    (seconds, UTC) and not acknowledged in time. ``more_open`` tells of one that is acknowledged
    whether there are others for its consent that are told of, and not."""

    consent_id: str
    operator_id: str
    deadline: int
    life_until: int
    more_open: bool = False


def _some(which: TextClause, more_open: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    return (
        select(
            _REMOVAL.consent_id,
            _REMOVAL.operator_id,
            _REMOVAL.deadline,
            _REMOVAL.life_until,
            more_open,
        )
        .where(which)
        .order_by(_REMOVAL.deadline)
        .limit(bindparam("most"))
    )


# Asked every second or so: to put a statement together costs more than to ask it.
_LATE: Final = _some(IS_LATE, literal(value=False)).where(*_OVERDUE)
_MADE_GOOD: Final = _some(IS_MADE_GOOD, _MORE_OPEN)


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
        return self._read(_LATE, now=now, most=limit)

    def made_good(self, limit: int) -> list[LateRemoval]:
        """Return up to ``limit`` removals that were told of and are acknowledged by now."""
        return self._read(_MADE_GOOD, most=limit)

    def of_subject(self, subject: str, now: int, limit: int) -> list[LateRemoval]:
        """Return of up to ``limit`` consents of a subject the removal that is overdue the longest
        at ``now`` (seconds, UTC) and still not acknowledged, the longest overdue first.

        Regions are left out: one has a word once its operator has, which may keep what other
        regions gave it for longer, and whom it finds late it tells the subject itself.
        """
        first = func.min(_REMOVAL.deadline)
        return self._read(
            select(_REMOVAL.consent_id, _REMOVAL.operator_id, first, func.min(_REMOVAL.life_until))
            .join(CONSENT, CONSENT.c.consent_id == _REMOVAL.consent_id)
            .where(
                CONSENT.c.subject == subject,
                ~begins_with(CONSENT.c.client_id, CLIENT_PREFIX),
                _REMOVAL.acknowledged_at.is_(None),
                *_OVERDUE,
            )
            .group_by(_REMOVAL.consent_id, _REMOVAL.operator_id)
            .order_by(first)
            .limit(limit),
            now=now,
        )

    def put_off(
        self, since: int, later: Callable[[ColumnElement[int]], ColumnElement[int]]
    ) -> None:
        """Make the report of each removal that was due at ``since`` (seconds, UTC) or after, and
        is not acknowledged, due as ``later`` says. When copies must be gone stays: that is the
        company's to say.

        Where that is sooner than their data life ends, since the consent was taken back, their
        operator may not have been told: they are held against nobody before the report is due.
        """
        due = case(
            (_REMOVAL.deadline > _REMOVAL.report_by, _REMOVAL.deadline), else_=_REMOVAL.report_by
        )
        not_told = (_REMOVAL.deadline < _REMOVAL.life_until) & or_(
            _REMOVAL.deadline >= since, _REMOVAL.spared_until >= since
        )
        change = (
            update(CONSENT_REMOVAL)
            .where(IS_LATE, _REMOVAL.acknowledged_at.is_(None), due >= since)
            .values(
                report_by=later(due),
                spared_until=case((not_told, later(due)), else_=_REMOVAL.spared_until),
            )
            .returning(_REMOVAL.consent_id, _REMOVAL.life_until)
        )
        with writing(self._engine) as connection:
            for key in connection.execute(change).all():
                wrote(connection, CONSENT_REMOVAL, *key)

    def found(self, removals: Collection[LateRemoval]) -> None:
        """Note that it is told of these."""
        self._note(removals, FOUND)

    def rectified(self, removals: Collection[LateRemoval]) -> None:
        """Note that it is told of these that they are made good."""
        self._note(removals, RECTIFIED)

    def _read(self, query: Select[*tuple[Any, ...]], **asked: int) -> list[LateRemoval]:
        with self._reader.connect() as connection:
            return [LateRemoval(*row) for row in connection.execute(query, asked)]

    def _note(self, removals: Collection[LateRemoval], finding: int) -> None:
        keys = [(each.consent_id, each.life_until) for each in removals]
        if not keys:
            return
        its = tuple_(_REMOVAL.consent_id, _REMOVAL.life_until)
        with writing(self._engine) as connection:
            connection.execute(update(CONSENT_REMOVAL).where(its.in_(keys)).values(finding=finding))
            for key in keys:
                wrote(connection, CONSENT_REMOVAL, *key)
