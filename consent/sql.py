"""Consents in SQL, for SQLite and PostgreSQL: every change and its history in one transaction.

A change locks its consent first, then the delegation it is made under, then the log of
changes, on both stores; the ledger of use locks the consents it relies on. So what an answer
was judged by stands until it is durable, and no change comes between (G3).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection, Engine, insert

from consent.changing import LOG_LOCK, Act, log, owe_more, put, tell_rest, write
from consent.connections import take_turn, writing
from consent.delegation import Power, allows
from consent.delegations_sql import standing_delegation
from consent.lives import plan
from consent.model import COUNTERSIGNED, Actor, Consent
from consent.owed import is_gone, is_told
from consent.part_names import consent_of
from consent.parts import acknowledge_all
from consent.queries import ConsentQueries
from consent.regions import stir
from consent.rows import earlier_request, locked, row_of
from consent.rules import next_look
from consent.states import (
    BY_ITSELF,
    EXPIRED,
    LIVE,
    OPEN,
    REVOKED,
    Move,
    effective_state,
    ended_by_itself_at,
    moved,
)
from consent.subject_keys import SubjectKey, standing_keys
from consent.tables import CONSENT
from consent.uses import Use, uses_of
from consent.writes import wrote
from creditgate.refusal import Refused
from creditgate.v1.consent_service_pb2 import ConsentState
from creditgate.v1.refusal_pb2 import RefusalReason

_ENDS: Final[Mapping[ConsentState.ValueType, Move]] = {REVOKED: "revoke", EXPIRED: "expire"}
_ANSWER_FIELDS: Final = frozenset({"signer", "delegation", "notice", "granted_at", "receipt"})


class SqlConsents(ConsentQueries):
    """The consents of one store. Calls block."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._engine = engine

    def add(self, consent: Consent, act: Act) -> Consent:
        """Write a consent that is asked for, and return it as written.

        A retry with the same ``request_id`` and content returns what was written first
        (AIP-155). Raises Refused REQUEST_ID_REUSED for the same id with other content.
        """
        with writing(self._engine) as connection:
            # Of two with one request_id the second must find the first.
            take_turn(connection, LOG_LOCK)
            earlier = earlier_request(connection, consent)
            if earlier is not None:
                return earlier
            connection.execute(insert(CONSENT).values(**row_of(consent)))
            wrote(connection, CONSENT, consent.consent_id)
            log(connection, consent, act, None)
        return consent

    def move(
        self,
        consent_id: str,
        move: Move,
        act: Act,
        *,
        expected_version: int | None = None,
        also: Mapping[str, object] | None = None,
    ) -> Consent:
        """Move a consent to its next state and return it as written.

        ``also`` are fields of the answer that are written with it: signer, delegation,
        notice, granted_at, receipt. A deputy's answer, or end, needs a delegation that
        allows it at ``act.at`` and stands until the change is durable. What time or use has ended by
        then is written first. Raises Refused RESOURCE_NOT_FOUND; ETAG_MISMATCH where
        ``expected_version`` is another; STATE_CONFLICT where the state, or the delegation,
        does not allow the move.
        """
        fields = also or {}
        if not fields.keys() <= _ANSWER_FIELDS:
            raise ValueError("only what belongs to the answer is written with a move")
        with writing(self._engine) as connection:
            consent = locked(connection, consent_id)
            if expected_version is not None and consent.version != expected_version:
                raise Refused(
                    RefusalReason.REFUSAL_REASON_ETAG_MISMATCH,
                    "The consent was changed meanwhile; read it again and repeat.",
                )
            use = uses_of(connection, [consent_id]).get(consent_id, Use())
            settled = _settled(connection, consent, use, act.at)
            # An end by time or use is nobody's to decide: it has come, or has not.
            state = (
                None
                if move in BY_ITSELF.values()
                else moved(settled.state, move, held=_is_held(connection, settled, use))
            )
            if state is not None:
                _require_delegation(connection, settled, move, act, fields)
                return write(connection, settled, state, act, use, act.at, fields)
        # What had ended by itself stays written, though the move is refused.
        raise _conflict(
            f"The consent is {ConsentState.Name(settled.state).removeprefix('CONSENT_STATE_')}"
            " and does not allow this."
        )

    def follow(self, consent_id: str, state: ConsentState.ValueType, act: Act) -> Consent:
        """Write that a consent which is kept elsewhere was ended there, REVOKED or EXPIRED, and
        return it as written.

        One that does not allow the move, having ended already, stays as it is. Raises Refused
        RESOURCE_NOT_FOUND.
        """
        with writing(self._engine) as connection:
            consent = locked(connection, consent_id)
            use = uses_of(connection, [consent_id]).get(consent_id, Use())
            settled = _settled(connection, consent, use, act.at)
            held = _is_held(connection, settled, use)
            if moved(settled.state, _ENDS[state], held=held) is None:
                return settled
            return write(connection, settled, state, act, use, act.at)

    def settle(self, consent_id: str, now: int) -> Consent:
        """Write what time or use has made of a consent by ``now`` (seconds, UTC), and return
        it as written; one that stands is returned as it is.

        Raises Refused RESOURCE_NOT_FOUND.
        """
        with writing(self._engine) as connection:
            consent = locked(connection, consent_id)
            use = uses_of(connection, [consent_id]).get(consent_id, Use())
            return _settled(connection, consent, use, now)

    def settled(self, consents: Sequence[Consent], now: int) -> tuple[Consent, ...]:
        """Return consents as written, once what time or use has made of them by ``now``
        (seconds, UTC) is written.

        Whoever tells anybody of an end asks this first: what was told stays true also when
        the clock is set back.
        """
        uses = self.uses([each.consent_id for each in consents if each.state in OPEN])
        return tuple(
            each
            if effective_state(each, uses.get(each.consent_id, Use()).answered, now) == each.state
            else self.settle(each.consent_id, now)
            for each in consents
        )

    def look(self, consent_id: str, now: int) -> Consent:
        """Write what has become of a consent by ``now`` (seconds, UTC), and the duty to remove
        what was served under it where the data life of the last copy is over, though it is in
        force; say when to look again, and return it as written.

        Raises Refused RESOURCE_NOT_FOUND.
        """
        with writing(self._engine) as connection:
            consent = locked(connection, consent_id)
            use = uses_of(connection, [consent_id]).get(consent_id, Use())
            looked_at = _told_of_life(connection, consent, use, now)
            alive = looked_at.state in LIVE
            plan(
                connection,
                consent_id,
                next_look(consent.terms, use.last_at, now) if alive else None,
            )
        return looked_at

    def sign(
        self,
        consent_id: str,
        signature: str,
        made_by: Callable[[str, Sequence[SubjectKey]], SubjectKey],
        act: Act,
    ) -> Consent:
        """Keep the subject's own signature of a consent's receipt, and return the consent.

        ``made_by`` returns which of the subject's keys, as they stand now, has signed the receipt,
        and raises Refused where none has. The key is kept too, since its subject may remove it
        later. The first signature stands: the same again changes nothing. Raises Refused
        RESOURCE_NOT_FOUND; STATE_CONFLICT where there is no receipt, or another signature.
        """
        with writing(self._engine) as connection:
            consent = locked(connection, consent_id)
            if not consent.receipt:
                raise _conflict("There is no receipt to sign: the consent was not granted.")
            if consent.subject_signature:
                if consent.subject_signature == signature:
                    return consent
                raise _conflict("The receipt has the subject's signature already; it stands.")
            key = made_by(consent.receipt, standing_keys(connection, consent.subject))
            signed = Consent.model_validate(
                {
                    **consent.model_dump(),
                    "subject_signature": signature,
                    "subject_key": key.jwk,
                    "version": consent.version + 1,
                    "changed_at": act.at,
                }
            )
            put(connection, signed)
            log(connection, signed, replace(act, reason=COUNTERSIGNED), None)
        return signed

    def acknowledge(
        self, consent_id: str, operator_id: str, removed_at: int, by: str, now: int
    ) -> int:
        """Write that an operator has removed what it held under a consent that has ended, or
        under which the data life of the last copy has, and return how many duties that is new of.

        What time or use has ended by then is written first. ``by`` is the client that says so,
        ``removed_at`` when the last copy was gone and ``now`` the time (seconds, UTC). A word is
        of all that is owed for copies served by ``removed_at``; of each the first one stands.
        Raises Refused RESOURCE_NOT_FOUND where this operator owes nothing for this consent;
        INVALID_REQUEST, field remove_time, for a removal that is still to come or was before the
        answer that is to be reported first.
        """
        with writing(self._engine) as connection:
            # A retry that is being judged goes before this, or is refused for it.
            consent = locked(connection, consent_id)
            use = uses_of(connection, [consent_id]).get(consent_id, Use())
            if consent.operator_id == operator_id:
                consent = _told_of_life(connection, consent, use, now)
            told_of = consent_of(consent_id, consent.request_id) or consent_id
            new = acknowledge_all(
                connection, consent, operator_id, use.last_at, removed_at, by, now
            )
            if new:
                tell_rest(connection, consent, Act(Actor.GATEWAY, "", "", now))
                stir(connection, told_of, now)
            return new


def _is_held(connection: Connection, consent: Consent, use: Use) -> bool:
    """Tell whether copies may be held under a consent that is over."""
    return use.last_at is not None and not is_gone(connection, consent.consent_id)


def _settled(connection: Connection, consent: Consent, use: Use, now: int) -> Consent:
    standing = effective_state(consent, use.answered, now)
    if standing == consent.state:
        return consent
    ended_at = ended_by_itself_at(consent, use.spent_at, now)
    return write(connection, consent, standing, Act(Actor.GATEWAY, "", "", ended_at), use, now)


def _told_of_life(connection: Connection, consent: Consent, use: Use, now: int) -> Consent:
    settled = _settled(connection, consent, use, now)
    if settled.state not in LIVE or use.last_at is None:
        return settled
    over_at = use.last_at + settled.terms.data_life_seconds
    if now < over_at or is_told(connection, settled.consent_id, over_at):
        return settled
    return owe_more(connection, settled, use, Act(Actor.GATEWAY, "", "", now), now)


def _require_delegation(
    connection: Connection, consent: Consent, move: Move, act: Act, fields: Mapping[str, object]
) -> None:
    delegation_id = fields.get("delegation") or act.delegation
    if not delegation_id:
        return
    delegation = standing_delegation(connection, str(delegation_id))
    if (
        delegation is None
        or delegation.subject != consent.subject
        or delegation.deputy != fields.get("signer", act.actor_id)
        or not allows(
            delegation,
            Power.REVOKE if move == "revoke" else Power.ANSWER,
            act.at,
            terms=consent.terms,
            operator_id=consent.operator_id,
        )
    ):
        raise _conflict("The delegation does not allow this, or no longer.")


def _conflict(message: str) -> Refused:
    return Refused(RefusalReason.REFUSAL_REASON_STATE_CONFLICT, message)
