"""Writing one change of a consent, and its history, in the transaction of whoever decided it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from sqlalchemy import Connection, func, insert, select, text, update

from consent.connections import take_turn
from consent.model import Actor, Consent
from consent.owed import give_time, owe, unreported
from consent.regions import stir
from consent.rows import row_of
from consent.rules import removal_deadline
from consent.states import FINAL, LIVE
from consent.tables import CONSENT, CONSENT_CHANGE, CONSENT_USE
from consent.uses import Use
from consent.writes import wrote
from creditgate.v1.consent_service_pb2 import ConsentState

CHANNEL: Final = "creditgate_consent"
LOG_LOCK: Final = 0x6372636C
"""Whoever writes the log of changes holds it."""
_NOTHING: Final[Mapping[str, object]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Act:
    """Who changes a consent, why and when (seconds, UTC).

    ``delegation`` is the id of the delegation under which a deputy ends a consent, "" for
    all others; that of an answer is kept with the answer.
    """

    actor: Actor
    actor_id: str
    reason: str
    at: int
    delegation: str = ""


def write(
    connection: Connection,
    consent: Consent,
    state: ConsentState.ValueType,
    act: Act,
    use: Use,
    told_at: int,
    also: Mapping[str, object] = _NOTHING,
) -> Consent:
    """Write a consent in ``state``; in the one it is in already where the data life of its last
    copy is over. Its operator is told at ``told_at`` (seconds, UTC)."""
    ends = state in FINAL
    written = Consent.model_validate(
        {
            **consent.model_dump(),
            **also,
            "state": state,
            "version": consent.version + 1,
            "changed_at": act.at,
            "ended_at": act.at if ends else None,
        }
    )
    put(connection, written)
    deadline = None
    if use.last_at is not None and (ends or state == consent.state):
        deadline = owe(
            connection,
            written,
            use.last_at + consent.terms.data_life_seconds,
            removal_deadline(consent.terms, state, use.last_at, act.at),
            told_at,
        )
    if use.spent_at is not None:
        connection.execute(
            update(CONSENT_USE)
            .where(
                CONSENT_USE.c.consent_id == consent.consent_id,
                CONSENT_USE.c.spent_at.is_not(None),
            )
            .values(spent_at=None)
        )
    if ends:
        stir(connection, consent.consent_id, told_at)
    log(connection, written, act, deadline, str(also.get("delegation") or act.delegation))
    return written


def owe_more(connection: Connection, consent: Consent, use: Use, act: Act, told_at: int) -> Consent:
    """Write what is owed for copies that no duty is about yet, and return the consent as written.

    It is told at ``told_at`` (seconds, UTC), but not while the operator has not reported what it
    was told of before: many short lives make no more notices than reports.
    """
    if use.last_at is None:
        return consent
    if unreported(connection, consent.consent_id) is None:
        return write(connection, consent, consent.state, act, use, told_at)
    owe(
        connection,
        consent,
        use.last_at + consent.terms.data_life_seconds,
        removal_deadline(consent.terms, consent.state, use.last_at, act.at),
        told_at,
    )
    return consent


def tell_rest(connection: Connection, consent: Consent, act: Act) -> None:
    """Tell what is still owed under a consent in force, once what was told of before is reported."""
    deadline = unreported(connection, consent.consent_id)
    if deadline is None or consent.state not in LIVE:
        return
    give_time(connection, consent.consent_id, act.at)
    told = consent.model_copy(update={"version": consent.version + 1, "changed_at": act.at})
    put(connection, told)
    log(connection, told, act, deadline)


def put(connection: Connection, consent: Consent) -> None:
    """Write a consent as it has become, its state as it was."""
    connection.execute(
        update(CONSENT).where(CONSENT.c.consent_id == consent.consent_id).values(**row_of(consent))
    )
    wrote(connection, CONSENT, consent.consent_id)


def log(
    connection: Connection,
    consent: Consent,
    act: Act,
    deadline: int | None,
    delegation: str = "",
) -> None:
    """Log a change of a consent made in this transaction: ``deadline`` (seconds, UTC) is when the
    copies it ends must be gone, None where it ends none."""
    # Writers go one after the other, so that sequences follow commit order.
    take_turn(connection, LOG_LOCK)
    newest = connection.execute(select(func.max(CONSENT_CHANGE.c.sequence))).scalar() or 0
    connection.execute(
        insert(CONSENT_CHANGE).values(
            sequence=newest + 1,
            consent_id=consent.consent_id,
            operator_id=consent.operator_id,
            subject=consent.subject,
            state=consent.state,
            actor=act.actor.value,
            actor_id=act.actor_id,
            reason=act.reason,
            at=act.at,
            removal_deadline=deadline,
            data_life_end=0 if deadline is None else consent.terms.data_life_end,
            delegation=delegation,
        )
    )
    wrote(connection, CONSENT_CHANGE, newest + 1)
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"NOTIFY {CHANNEL}"))
