"""Consents as proto messages, as they stand now."""

from collections.abc import Iterator, Sequence
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from consent.model import SCHEMA_VERSION, Actor, Consent, ConsentChange, ConsentNotice, ConsentTerms
from consent.queries import Removal, Use
from consent.rules import removal_deadline
from consent.sql import SqlConsents
from consent.states import FINAL, effective_state, ended_by_itself_at
from creditgate.v1 import consent_service_pb2 as pb
from creditgate.v1.vocabulary_pb2 import Interval, Purpose
from gateway.clock import Clock
from gateway.consents.artefact import representative

MOST_HISTORY: Final = 500
"""Most changes of a consent that are told with it, from the oldest."""

_ACTORS: Final = {
    Actor.SUBJECT: pb.ConsentActor.CONSENT_ACTOR_SUBJECT,
    Actor.OPERATOR: pb.ConsentActor.CONSENT_ACTOR_OPERATOR,
    Actor.ADMINISTRATOR: pb.ConsentActor.CONSENT_ACTOR_ADMINISTRATOR,
    Actor.GATEWAY: pb.ConsentActor.CONSENT_ACTOR_GATEWAY,
}


class ConsentMessages:
    """Consents as messages, with all that belongs to them. Calls block."""

    def __init__(self, consents: SqlConsents, clock: Clock) -> None:
        self._consents = consents
        self._clock = clock

    def of(self, consent: Consent) -> pb.Consent:
        """Return one consent as its message."""
        return next(self.each([consent]))

    def each(self, consents: Sequence[Consent]) -> Iterator[pb.Consent]:
        """Yield each of these consents as its message."""
        ids = [consent.consent_id for consent in consents]
        uses, removals = self._consents.uses(ids), self._consents.removals(ids)
        now = self._clock.now()
        for consent in consents:
            id_ = consent.consent_id
            history = self._consents.changes(consent_id=id_, limit=MOST_HISTORY)
            yield _message(consent, history, uses.get(id_, Use()), removals.get(id_), now)


def event_message(change: ConsentChange) -> pb.ConsentEvent:
    """Return one change of a consent as its message."""
    return pb.ConsentEvent(
        sequence=change.sequence,
        consent=f"consents/{change.consent_id}",
        state=change.state,
        actor=_ACTORS[change.actor],
        reason=change.reason,
        event_time=Timestamp(seconds=change.at),
    )


def _message(
    consent: Consent,
    history: Sequence[ConsentChange],
    use: Use,
    removal: Removal | None,
    now: int,
) -> pb.Consent:
    state = effective_state(consent, use.answered, now)
    owed = removal or _owed(consent, state, use, now)
    message = pb.Consent(
        name=consent.name,
        schema_version=SCHEMA_VERSION,
        subject=consent.subject,
        representative=representative(consent.signer) if consent.signer else "",
        delegation=f"delegations/{consent.delegation}" if consent.delegation else "",
        operator_id=consent.operator_id,
        terms=_terms_message(consent.terms),
        notice=None if consent.notice is None else _notice_message(consent.notice),
        state=state,
        history=map(event_message, history),
        answered_requests=use.answered,
        receipt=consent.receipt,
        subject_signature=consent.subject_signature,
        etag=str(consent.version),
        create_time=Timestamp(seconds=consent.requested_at),
        client_id=consent.client_id,
        message=consent.message,
        answer_until=Timestamp(seconds=consent.answer_until),
    )
    if owed is not None:
        message.data_life_until.seconds = owed.deadline
        message.removal.CopyFrom(_removal_message(owed, now))
    return message


def _owed(consent: Consent, state: pb.ConsentState.ValueType, use: Use, now: int) -> Removal | None:
    """Return what is owed for a consent that ended by itself and is not written as ended yet."""
    if state not in FINAL or consent.state in FINAL or use.last_at is None:
        return None
    ended_at = ended_by_itself_at(consent, use.last_at, now)
    return Removal(
        consent.consent_id,
        consent.operator_id,
        removal_deadline(consent.terms, state, use.last_at, ended_at),
        pb.DataLifeEnd.ValueType(consent.terms.data_life_end),
        None,
        None,
    )


def _terms_message(terms: ConsentTerms) -> pb.ConsentTerms:
    return pb.ConsentTerms(
        items=(pb.ConsentItem(item=each.item, fields=sorted(each.fields)) for each in terms.items),
        purposes=map(Purpose.ValueType, sorted(terms.purposes)),
        answer_form=pb.ConsentAnswerForm.ValueType(terms.answer_form),
        access_mode=pb.ConsentAccessMode.ValueType(terms.access_mode),
        times_per_day=terms.times_per_day,
        validity=Interval(
            start_time=Timestamp(seconds=terms.valid_from),
            end_time=Timestamp(seconds=terms.valid_until),
        ),
        data_life=Duration(seconds=terms.data_life_seconds),
        data_life_end=pb.DataLifeEnd.ValueType(terms.data_life_end),
        regions=sorted(terms.regions),
    )


def _notice_message(notice: ConsentNotice) -> pb.ConsentNotice:
    return pb.ConsentNotice(
        policy_version=notice.policy_version,
        text_digest=bytes.fromhex(notice.text_digest),
        language=notice.language,
    )


def _removal_message(removal: Removal, now: int) -> pb.ConsentRemoval:
    message = pb.ConsentRemoval(
        deadline=Timestamp(seconds=removal.deadline),
        data_life_end=removal.data_life_end,
        overdue=removal.acknowledged_at is None and now >= removal.deadline,
    )
    if removal.removed_at is not None:
        message.remove_time.seconds = removal.removed_at
    if removal.acknowledged_at is not None:
        message.acknowledge_time.seconds = removal.acknowledged_at
    return message
