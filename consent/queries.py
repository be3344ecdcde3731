"""What is read of consents, their changes, their use and the removals owed."""

from collections.abc import Collection
from functools import lru_cache
from itertools import chain
from typing import Final, NamedTuple

from sqlalchemy import bindparam, func, select

from consent.beginnings import begins_with
from consent.given_elsewhere import PartOf, parts_of
from consent.histories import History, histories
from consent.model import CODE_PREFIX, PART_PREFIX, Consent, ConsentChange
from consent.part_names import is_part
from consent.removal_queries import RemovalQueries
from consent.states import BY_ITSELF, LIVE, REFUSED, REQUESTED
from consent.tables import (
    CONSENT,
    CONSENT_CHANGE,
    CONSENT_LIFE,
    CONSENT_REMOVAL,
    CONSENT_USE,
)
from consent.unreadable import unreadable_left
from consent.uses import Use, uses_of

_MOST_REMEMBERED: Final = 2_048
_DOCUMENT: Final = select(CONSENT.c.document).where(CONSENT.c.consent_id == bindparam("wanted"))

# Asked for each second: to build them anew would cost as much as to ask them.
_HEAD: Final = select(func.max(CONSENT_CHANGE.c.sequence))
_OVER: Final = (
    select(CONSENT.c.consent_id)
    .where(CONSENT.c.due_at <= bindparam("now"))
    .order_by(CONSENT.c.due_at, CONSENT.c.consent_id)
    .limit(bindparam("most"))
)
_SPENT: Final = (
    select(CONSENT_USE.c.consent_id)
    .where(CONSENT_USE.c.spent_at.is_not(None))
    .order_by(CONSENT_USE.c.consent_id)
    .limit(bindparam("most"))
)
_LIVES_DUE: Final = (
    select(CONSENT_LIFE.c.consent_id)
    .where(CONSENT_LIFE.c.look_at <= bindparam("now"))
    .order_by(CONSENT_LIFE.c.look_at, CONSENT_LIFE.c.consent_id)
    .offset(bindparam("skipped"))
    .limit(bindparam("most"))
)


class Asked(NamedTuple):
    """Consents an operator asked a subject's inbox for, or that another region has shown: how many
    wait for their answer, or are in force, and how many there are since an instant."""

    open: int
    since: int


class ConsentQueries(RemovalQueries):
    """What is read of the consents of one store. Calls block and take no lock.

    The engine must be as `consent.connections` says.
    """

    def get(self, consent_id: str) -> Consent | None:
        """Return one consent as written; None where there is none of that id."""
        with self._reader.connect() as connection:
            document = connection.execute(_DOCUMENT, {"wanted": consent_id}).scalar_one_or_none()
        return None if document is None else Consent.model_validate_json(document)

    def readable(self, consent_ids: Collection[str]) -> dict[str, Consent]:
        """Return, by id, those of these consents that there are and this version can read."""
        query = select(CONSENT.c.consent_id, CONSENT.c.document).where(
            CONSENT.c.consent_id.in_(consent_ids)
        )
        found: dict[str, Consent] = {}
        with self._reader.connect() as connection:
            for row in connection.execute(query):
                with unreadable_left(row.consent_id):
                    found[row.consent_id] = _consent_of(row.document)
        return found

    def receipts(self, consent_ids: Collection[str]) -> dict[str, str]:
        """Return, by id, the receipts of those of these consents that have one."""
        return {
            consent_id: consent.receipt
            for consent_id, consent in self.readable(consent_ids).items()
            if consent.receipt
        }

    def listed(
        self,
        *,
        subject: str = "",
        operator_id: str = "",
        before: str = "",
        after: str = "",
        states: Collection[int] = (),
        limit: int,
    ) -> tuple[Consent, ...]:
        """Return up to ``limit`` consents, newest first, with ids below ``before`` and above
        ``after``, written in one of ``states``; what time and count made of them since is
        the caller's to judge.

        Empty narrows nothing. One that this version cannot read is left out.
        """
        query = select(CONSENT.c.consent_id, CONSENT.c.document).order_by(
            CONSENT.c.consent_id.desc()
        )
        if subject:
            query = query.where(CONSENT.c.subject == subject)
        if operator_id:
            query = query.where(CONSENT.c.operator_id == operator_id)
        if after:
            query = query.where(CONSENT.c.consent_id > after)
        if states:
            query = query.where(CONSENT.c.state.in_(states))
        found: list[Consent] = []
        with self._reader.connect() as connection:
            while len(found) < limit:
                older = query.where(CONSENT.c.consent_id < before) if before else query
                rows = connection.execute(older.limit(wanted := limit - len(found))).all()
                for row in rows:
                    with unreadable_left(row.consent_id):
                        found.append(Consent.model_validate_json(row.document))
                if len(rows) < wanted:
                    break
                before = rows[-1].consent_id
        return tuple(found)

    def uses(self, consent_ids: Collection[str]) -> dict[str, Use]:
        """Return how much each of these consents was used."""
        with self._reader.connect() as connection:
            return uses_of(connection, consent_ids)

    def part_of(self, consent_id: str) -> PartOf | None:
        """Return of what a consent is a part, where its region gave anything; None for any other
        consent."""
        if not is_part(consent_id):
            return None
        with self._reader.connect() as connection:
            return parts_of(connection, [consent_id]).get(consent_id)

    def was_asked(self, operator_id: str, request_id: str) -> bool:
        """Tell whether an operator asked for a consent by this request id, of whomever and
        however long ago."""
        query = select(CONSENT.c.consent_id).where(
            CONSENT.c.operator_id == operator_id, CONSENT.c.request_id == request_id
        )
        with self._reader.connect() as connection:
            return connection.execute(query).scalar_one_or_none() is not None

    def asked_of(self, operator_id: str, subject: str, since: int) -> Asked:
        """Return how much an operator asked of a subject's inbox, in all and since
        ``since`` (seconds, UTC).

        What was asked for by an authorisation code is counted where it was refused: of the rest
        somebody was there to answer it. Parts of consents were asked for by nobody. Ids begin with
        the time they were made (`consent.model.Consent.consent_id`).
        """
        query = select(
            func.count().filter(CONSENT.c.state == REQUESTED),
            func.count().filter(CONSENT.c.consent_id >= f"{since:010x}"),
        ).where(
            CONSENT.c.operator_id == operator_id,
            CONSENT.c.subject == subject,
            ~begins_with(CONSENT.c.request_id, CODE_PREFIX) | (CONSENT.c.state == REFUSED),
            ~begins_with(CONSENT.c.request_id, PART_PREFIX),
        )
        with self._reader.connect() as connection:
            return Asked(*connection.execute(query).one())

    def shown_by(self, client_id: str, subject: str, since: int) -> Asked:
        """Return how many consents about a subject another region, by its client id, has shown:
        of those in force as written, and since ``since`` (seconds, UTC) by this gateway's clock."""
        standing = select(func.count()).where(
            CONSENT.c.subject == subject,
            CONSENT.c.client_id == client_id,
            CONSENT.c.state.in_(LIVE),
        )
        lately = select(func.count(CONSENT_CHANGE.c.consent_id.distinct())).where(
            CONSENT_CHANGE.c.subject == subject,
            CONSENT_CHANGE.c.actor_id == client_id,
            CONSENT_CHANGE.c.at >= since,
        )
        with self._reader.connect() as connection:
            return Asked(
                connection.execute(standing).scalar_one(), connection.execute(lately).scalar_one()
            )

    def changes(
        self,
        *,
        after: int = 0,
        consent_id: str = "",
        operator_id: str = "",
        subject: str = "",
        limit: int,
    ) -> tuple[ConsentChange, ...]:
        """Return up to ``limit`` changes with a greater sequence, in order of commit.

        Empty narrows nothing.
        """
        query = (
            select(CONSENT_CHANGE)
            .where(CONSENT_CHANGE.c.sequence > after)
            .order_by(CONSENT_CHANGE.c.sequence)
            .limit(limit)
        )
        for column, wanted in (
            (CONSENT_CHANGE.c.consent_id, consent_id),
            (CONSENT_CHANGE.c.operator_id, operator_id),
            (CONSENT_CHANGE.c.subject, subject),
        ):
            if wanted:
                query = query.where(column == wanted)
        with self._reader.connect() as connection:
            return tuple(
                ConsentChange.model_validate(dict(row))
                for row in connection.execute(query).mappings()
            )

    def histories(self, consent_ids: Collection[str], *, limit: int) -> dict[str, History]:
        """Return what happened to each of these consents, of one with more than ``limit`` changes
        the first and the last."""
        with self._reader.connect() as connection:
            return histories(connection, consent_ids, limit)

    def head(self) -> int:
        """Return the sequence of the newest change, 0 before the first."""
        with self._reader.connect() as connection:
            return connection.execute(_HEAD).scalar() or 0

    def due(self, now: int, limit: int, operator_id: str = "", *, skip: int = 0) -> tuple[str, ...]:
        """Return the ids of up to ``limit`` consents that time or use has ended by ``now``
        (seconds, UTC), and whose end is not written, behind the first ``skip``: see
        `consent.sql.SqlConsents.settle`.

        Only those of ``operator_id``; "" narrows nothing.
        """
        over, spent = _OVER, _SPENT
        if operator_id:
            over = over.where(CONSENT.c.operator_id == operator_id)
            spent = spent.join(CONSENT, CONSENT.c.consent_id == CONSENT_USE.c.consent_id).where(
                CONSENT.c.operator_id == operator_id
            )
        with self._reader.connect() as connection:
            asked = {"now": now, "most": skip + limit}
            # One that is both comes once.
            found = dict.fromkeys(
                chain(
                    connection.execute(spent, asked).scalars(),
                    connection.execute(over, asked).scalars(),
                )
            )
        return tuple(found)[skip : skip + limit]

    def in_state(
        self, operator_id: str, states: Collection[int], *, after: str, limit: int
    ) -> tuple[str, ...]:
        """Return ids of an operator's consents written in one of ``states``, above ``after``."""
        query = (
            select(CONSENT.c.consent_id)
            .where(
                CONSENT.c.operator_id == operator_id,
                CONSENT.c.state.in_(states),
                CONSENT.c.consent_id > after,
            )
            .order_by(CONSENT.c.consent_id)
            .limit(limit)
        )
        with self._reader.connect() as connection:
            return tuple(connection.execute(query).scalars())

    def in_state_owing(self, operator_id: str, *, after: str, limit: int) -> tuple[str, ...]:
        """Return ids of an operator's consents above ``after`` that time or use has ended, as
        written, and whose removal it has not acknowledged."""
        query = (
            select(CONSENT.c.consent_id)
            .join(CONSENT_REMOVAL, CONSENT_REMOVAL.c.consent_id == CONSENT.c.consent_id)
            .where(
                CONSENT_REMOVAL.c.operator_id == operator_id,
                CONSENT_REMOVAL.c.acknowledged_at.is_(None),
                CONSENT.c.state.in_(BY_ITSELF),
                CONSENT.c.consent_id > after,
            )
            .distinct()
            .order_by(CONSENT.c.consent_id)
            .limit(limit)
        )
        with self._reader.connect() as connection:
            return tuple(connection.execute(query).scalars())

    def lives_due(self, now: int, limit: int, *, skip: int = 0) -> tuple[str, ...]:
        """Return ids of up to ``limit`` consents to look at by ``now`` (seconds, UTC), the longest
        due first, behind the first ``skip``: see `consent.sql.SqlConsents.look`."""
        asked = {"now": now, "skipped": skip, "most": limit}
        with self._reader.connect() as connection:
            return tuple(connection.execute(_LIVES_DUE, asked).scalars())


@lru_cache(_MOST_REMEMBERED)
def _consent_of(document: str) -> Consent:
    """Return the consent that a document is, and that nobody can change. What follows the ledger
    reads the same ones again and again, and to check one costs more than all else it does with it."""
    return Consent.model_validate_json(document)
