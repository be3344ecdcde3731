"""Delegations in SQL, for SQLite and PostgreSQL."""

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import Connection, Engine, Select, func, insert, select, update

from consent.connections import reader, take_turn, writing
from consent.delegation import Delegation, invites
from consent.model import DAY_SECONDS
from consent.tables import DELEGATION
from consent.writes import wrote
from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason

MOST_OPEN: Final = 50
"""Most delegations of one subject that neither time nor anybody ended, accepted or not."""
MOST_A_DAY: Final = 50
"""Most delegations of one subject that are made within 24 hours, whatever became of them."""
MOST_LISTED: Final = 200
_RETRY_SECONDS: Final = 3_600
_INVITE_LOCK: Final = 0x63726469
_D = DELEGATION.c


class SqlDelegations:
    """The delegations of one store. Calls block."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reader = reader(engine)

    def invite(self, delegation: Delegation, invitation_digest: bytes) -> Delegation:
        """Write a delegation that waits for its deputy, and return it.

        ``invitation_digest`` is the SHA-256 of the secret that whoever is to be deputy
        brings. Raises Refused STATE_CONFLICT where the subject has `MOST_OPEN` others,
        RATE_EXCEEDED where it made `MOST_A_DAY` others within the 24 hours before this begins;
        sqlalchemy.exc.IntegrityError where this one was written before.
        """
        if delegation.deputy or delegation.ended_at is not None:
            raise ValueError("an invitation has no deputy and no end yet")
        with writing(self._engine) as connection:
            take_turn(connection, _INVITE_LOCK)
            # One that is sent again is no further one.
            others = select(func.count()).where(
                _D.subject == delegation.subject,
                _D.delegation_id != delegation.delegation_id,
            )
            still_open = others.where(_D.ended_at.is_(None), _D.valid_until > delegation.valid_from)
            if connection.execute(still_open).scalar_one() >= MOST_OPEN:
                raise Refused(
                    RefusalReason.REFUSAL_REASON_STATE_CONFLICT,
                    f"There are {MOST_OPEN} delegations already; end one first.",
                )
            recent = others.where(_D.invited_at > delegation.valid_from - DAY_SECONDS)
            if connection.execute(recent).scalar_one() >= MOST_A_DAY:
                raise Refused(
                    RefusalReason.REFUSAL_REASON_RATE_EXCEEDED,
                    f"{MOST_A_DAY} delegations were made within a day; wait.",
                    retry_after=_RETRY_SECONDS,
                )
            connection.execute(
                insert(DELEGATION).values(
                    **_row(delegation),
                    invitation_digest=invitation_digest,
                    invited_at=delegation.valid_from,
                )
            )
            wrote(connection, DELEGATION, delegation.delegation_id)
        return delegation

    def invited(self, invitation_digest: bytes, now: int) -> Delegation | None:
        """Return what an invitation offers, for whoever is to accept it.

        None where it is unknown, accepted, over or ended, all alike.
        """
        query = select(_D.document).where(_D.invitation_digest == invitation_digest)
        with self._reader.connect() as connection:
            found = _read(connection, query)
        return found[0] if found and invites(found[0], now) else None

    def accept(
        self, invitation_digest: bytes, deputy: str, now: int, *, name: str = ""
    ) -> Delegation | None:
        """Make ``deputy``, whom people call ``name``, the deputy by an invitation, and return the
        delegation.

        None where the invitation is unknown, over, ended or another's, all alike, and
        for the person who made it. The deputy who accepted may bring it again.
        """
        query = (
            select(_D.document).where(_D.invitation_digest == invitation_digest).with_for_update()
        )
        with writing(self._engine) as connection:
            found = _read(connection, query)
            if not found or not deputy or deputy == found[0].appointed_by:
                return None
            (delegation,) = found
            if delegation.deputy == deputy and delegation.ended_at is None:
                return delegation
            if not invites(delegation, now):
                return None
            return _written(
                connection, delegation, deputy=deputy, deputy_name=name, accepted_at=now
            )

    def of_subject(self, subject: str) -> tuple[Delegation, ...]:
        """Return a subject's delegations: all that were not ended, then the newest that were,
        at most `MOST_LISTED`."""
        query = (
            select(_D.document)
            .where(_D.subject == subject)
            .order_by(_D.ended_at.is_not(None), _D.valid_until.desc(), _D.delegation_id)
            .limit(MOST_LISTED)
        )
        with self._reader.connect() as connection:
            return _read(connection, query)

    def of_deputy(self, deputy: str) -> tuple[Delegation, ...]:
        """Return what a person accepted and nobody ended, whatever its term."""
        query = (
            select(_D.document)
            .where(_D.deputy == deputy, _D.deputy != "", _D.ended_at.is_(None))
            .order_by(_D.valid_until.desc(), _D.delegation_id)
            .limit(MOST_LISTED)
        )
        with self._reader.connect() as connection:
            return _read(connection, query)

    def get(self, delegation_id: str) -> Delegation | None:
        """Return one delegation; None where there is none of that id."""
        query = select(_D.document).where(_D.delegation_id == delegation_id)
        with self._reader.connect() as connection:
            found = _read(connection, query)
        return found[0] if found else None

    def by_id(self, delegation_ids: Collection[str]) -> dict[str, Delegation]:
        """Return those of these delegations that there are, by id."""
        query = select(_D.document).where(_D.delegation_id.in_(delegation_ids))
        with self._reader.connect() as connection:
            return {each.delegation_id: each for each in _read(connection, query)}

    def end(self, delegation_id: str, by: str, now: int) -> Delegation:
        """End a delegation at once, and return it; one that was ended stays as it was.

        ``by`` is the principal who withdraws it or gives it up. Raises Refused
        RESOURCE_NOT_FOUND.
        """
        query = select(_D.document).where(_D.delegation_id == delegation_id).with_for_update()
        with writing(self._engine) as connection:
            found = _read(connection, query)
            if not found:
                raise Refused(
                    RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND,
                    "There is no such delegation.",
                )
            (delegation,) = found
            if delegation.ended_at is not None:
                return delegation
            return _written(connection, delegation, ended_at=now, ended_by=by)


def standing_delegation(connection: Connection, delegation_id: str) -> Delegation | None:
    """Return a delegation that stays as it is until the transaction ends."""
    query = select(_D.document).where(_D.delegation_id == delegation_id).with_for_update(read=True)
    found = _read(connection, query)
    return found[0] if found else None


def _read(connection: Connection, query: Select[Any]) -> tuple[Delegation, ...]:
    return tuple(map(Delegation.model_validate_json, connection.execute(query).scalars()))


def _written(connection: Connection, delegation: Delegation, **changed: object) -> Delegation:
    written = Delegation.model_validate({**delegation.model_dump(), **changed})
    connection.execute(
        update(DELEGATION)
        .where(_D.delegation_id == delegation.delegation_id)
        .values(**_row(written))
    )
    wrote(connection, DELEGATION, delegation.delegation_id)
    return written


def _row(delegation: Delegation) -> dict[str, object]:
    # A process of the version before, which may serve beside this one, refuses what it does not know.
    untold = None if delegation.deputy_name else {"deputy_name"}
    return {
        "delegation_id": delegation.delegation_id,
        "subject": delegation.subject,
        "deputy": delegation.deputy,
        "valid_until": delegation.valid_until,
        "ended_at": delegation.ended_at,
        "document": delegation.model_dump_json(exclude=untold),
    }
