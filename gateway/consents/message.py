"""Consents as proto messages, as they stand now."""

from collections.abc import Iterator, Sequence
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from consent.histories import History
from consent.model import SCHEMA_VERSION, Actor, Consent, ConsentChange, ConsentNotice, ConsentTerms
from consent.part_names import part_told
from consent.removals import Duties, Removal
from consent.sql import SqlConsents
from consent.states import REFUSED
from consent.uses import Use
from creditgate.v1 import consent_service_pb2 as pb
from creditgate.v1.vocabulary_pb2 import Interval, Purpose
from gateway.clock import Clock
from gateway.consents.artefact import representative
from gateway.consents.given_again import GivenAgain

MOST_HISTORY: Final = 500
"""Most changes of a consent that are told with it: as many of the first as of the last."""
_MOST_DUTIES: Final = 100

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
        """Return one consent as its message, for its operator, with what its subject read."""
        message = next(self.each([consent]))
        if consent.notice is not None:
            message.notice.text = consent.notice.text
        return message

    def whole(self, consent: Consent) -> pb.Consent:
        """Return one consent as its message, for administrators: also who refused it."""
        message = self.of(consent)
        _tell_who_answered(message, consent)
        return message

    def each(self, consents: Sequence[Consent]) -> Iterator[pb.Consent]:
        """Yield each of these consents as its message, for their operator."""
        now = self._clock.now()
        ids = [consent.consent_id for consent in consents]
        settled = self._consents.settled(consents, now)
        uses, duties = self._consents.uses(ids), self._consents.duties(ids, limit=_MOST_DUTIES)
        histories = self._consents.histories(ids, limit=MOST_HISTORY)
        for consent in settled:
            id_ = consent.consent_id
            history = histories.get(id_, History())
            yield _message(consent, history, uses.get(id_, Use()), duties.get(id_), now)


def event_message(change: ConsentChange) -> pb.ConsentEvent:
    """Return one change of a consent as its message."""
    part = part_told(change)
    return pb.ConsentEvent(
        sequence=change.sequence,
        consent=f"consents/{change.consent_id}",
        state=change.state,
        actor=_ACTORS[change.actor],
        reason=change.reason if part is None else "",
        event_time=Timestamp(seconds=change.at),
        part_of="" if part is None else part.consent,
        region="" if part is None else part.region,
    )


def _message(
    consent: Consent,
    history: History,
    use: Use,
    duties: Duties | None,
    now: int,
) -> pb.Consent:
    message = pb.Consent(
        name=consent.name,
        schema_version=SCHEMA_VERSION,
        subject=consent.subject,
        operator_id=consent.operator_id,
        terms=_terms_message(consent.terms),
        notice=None if consent.notice is None else _notice_message(consent.notice),
        state=consent.state,
        history=map(event_message, history.told),
        history_left_out=history.left_out,
        answered_requests=use.answered,
        receipt=consent.receipt,
        subject_signature=consent.subject_signature,
        subject_key=consent.subject_key,
        etag=str(consent.version),
        create_time=Timestamp(seconds=consent.requested_at),
        client_id=consent.client_id,
        message=consent.message,
        answer_until=Timestamp(seconds=consent.answer_until),
    )
    # Who would not consent is told nobody who asked: pages promise so (`plain`).
    if consent.state != REFUSED:
        _tell_who_answered(message, consent)
    if duties is not None:
        message.data_life_until.seconds = duties.last.deadline
        message.removal.CopyFrom(removal_message(duties.first, now))
        message.removals.extend(removal_message(each, now) for each in duties.listed)
        message.removals_left_out = duties.left_out
        message.unreported_left_out = duties.unreported_left_out
    return message


def _tell_who_answered(message: pb.Consent, consent: Consent) -> None:
    message.representative = representative(consent.signer) if consent.signer else ""
    message.delegation = f"delegations/{consent.delegation}" if consent.delegation else ""


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


def removal_message(removal: Removal, now: int) -> pb.ConsentRemoval:
    """Return a duty to remove copies, as it stands at ``now`` (seconds, UTC), as its message."""
    message = pb.ConsentRemoval(
        deadline=Timestamp(seconds=removal.deadline),
        data_life_end=removal.data_life_end,
        overdue=removal.overdue(now),
        report_by=Timestamp(seconds=removal.report_by),
        life_until=Timestamp(seconds=removal.life_until),
    )
    if removal.spared_until:
        message.spared_until.seconds = removal.spared_until
    if removal.removed_at is not None:
        message.remove_time.seconds = removal.removed_at
    if removal.acknowledged_at is not None:
        message.acknowledge_time.seconds = removal.acknowledged_at
    return message


def again_message(again: GivenAgain) -> pb.GivenAgain:
    """Return how often a record was given again as its message."""
    return pb.GivenAgain(times=again.times, last_time=Timestamp(seconds=again.last_at))
