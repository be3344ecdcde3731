"""AcknowledgeRemovals: operators report that copies are gone, or replaced (G9).

Copies go for one of three causes: a disclosure event that made a revision void, such an event of
another region, or the end of the consent they were made under.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Final, NamedTuple, Protocol

from consent.rules import CLOCKS_APART_SECONDS
from consent.sql import SqlConsents
from creditgate.refusal import Refused, Violation, invalid
from creditgate.v1 import conformance_service_pb2 as pb
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from gateway.clock import Clock
from gateway.conformance.removal_rows import GoneBefore
from gateway.conformance.removals import Owed, RemovalDuties, Removed
from gateway.conformance.uptime import Awake
from gateway.consents.request import consent_id_of
from gateway.instants import instant_faults
from gateway.shares import Shares

_MOST_REMOVALS: Final = 1_000
_MOST_FAULTS: Final = 100


class _Ended(NamedTuple):
    """Copies made under a consent that are gone since ``removed_at`` (seconds, UTC)."""

    consent_id: str
    removed_at: int


class RemovedElsewhere(NamedTuple):
    """A copy that is gone since ``removed_at`` (seconds, UTC) for the event of another region that
    the operator was told of by ``number``."""

    number: int
    removed_at: int


class DutiesElsewhere(Protocol):
    """What operators owe for events of other regions; as `RemovalDuties`."""

    def owed(self, operator_id: str, now: int) -> Owed:
        """Return what an operator has still to acknowledge at ``now`` (seconds, UTC)."""
        ...

    def acknowledge(
        self, operator_id: str, removals: Sequence[RemovedElsewhere], by: str, now: int
    ) -> tuple[int, int]:
        """Write that an operator has removed what events made void; return how many were new, and
        how many of ``removals`` were taken: all before the first for which nothing is owed."""
        ...


class RemovalsOwed:
    """What operators owe for events and for consents together. Calls block."""

    def __init__(
        self, duties: RemovalDuties, consents: SqlConsents, elsewhere: DutiesElsewhere
    ) -> None:
        self._duties = duties
        self._consents = consents
        self._elsewhere = elsewhere

    def owed(self, operator_id: str, now: int) -> Owed:
        """Return what an operator has still to acknowledge at ``now`` (seconds, UTC)."""
        all_owed = (
            self._duties.owed(operator_id, now),
            self._consents.owed(operator_id, now),
            self._elsewhere.owed(operator_id, now),
        )
        deadlines = (each.next_deadline for each in all_owed)
        return Owed(
            sum(each.outstanding for each in all_owed),
            sum(each.overdue for each in all_owed),
            min((at for at in deadlines if at is not None), default=None),
        )


class RemovalService:
    """The method of ConformanceService that takes operators' word of removals."""

    def __init__(
        self,
        duties: RemovalDuties,
        consents: SqlConsents,
        elsewhere: DutiesElsewhere,
        shares: Shares,
        clock: Clock,
        awake: Awake,
    ) -> None:
        self._duties = duties
        self._consents = consents
        self._elsewhere = elsewhere
        self._shares = shares
        self._owed = RemovalsOwed(duties, consents, elsewhere)
        self._clock = clock
        self._awake = awake

    async def acknowledge_removals(
        self, request: pb.AcknowledgeRemovalsRequest, caller: Caller
    ) -> pb.AcknowledgeRemovalsResponse:
        """Answer AcknowledgeRemovals.

        Removals are taken one after the other; those before one that is refused stand, and
        acknowledging them again changes nothing. Raises Refused INVALID_REQUEST, also where a copy
        was gone before its event, and then none of the events named beside it is taken;
        RATE_EXCEEDED;
        RESOURCE_NOT_FOUND, its metadata ``removal`` telling which, where the operator owes
        nothing for a cause, or has nothing to do with it (G11).
        """
        removals = _removals(request.removals, self._clock.now())
        return await self._shares.run(caller.asker, self._acknowledge, removals, caller)

    def _acknowledge(
        self, removals: Sequence[Removed | RemovedElsewhere | _Ended], caller: Caller
    ) -> pb.AcknowledgeRemovalsResponse:
        now = self._clock.now()
        self._awake.wake(now)
        new = taken = 0
        for kind, alike in groupby(removals, type):
            if kind is not _Ended:
                some = list(alike)
                try:
                    count, known = self._of_events(some, caller, now)
                except GoneBefore as early:
                    raise _gone_before(taken + early.at) from None
                new += count
                taken += known
                if known < len(some):
                    raise _not_owed(taken, "event")
            else:
                try:
                    for each in alike:
                        if isinstance(each, _Ended):
                            new += self._ended(each, caller, taken, now)
                            taken += 1
                finally:
                    # Those before one that is refused stand; so does a word that is not new, and
                    # what follows from it may have failed before.
                    self._duties.settle_consented(caller.operator_id, caller.client_id, now)
        owed = self._owed.owed(caller.operator_id, now)
        response = pb.AcknowledgeRemovalsResponse(
            acknowledged_removals=new, outstanding_removals=owed.outstanding
        )
        if owed.next_deadline is not None:
            response.next_deadline.seconds = owed.next_deadline
        return response

    def _of_events(
        self, alike: Sequence[Removed | RemovedElsewhere | _Ended], caller: Caller, now: int
    ) -> tuple[int, int]:
        """Take removals for events that are all of this region, or all of others; return how many
        were new and how many taken."""
        by = caller.client_id
        own = [each for each in alike if isinstance(each, Removed)]
        if own:
            return self._duties.acknowledge(caller.operator_id, own, by, now)
        others = [each for each in alike if isinstance(each, RemovedElsewhere)]
        return self._elsewhere.acknowledge(caller.operator_id, others, by, now)

    def _ended(self, removal: _Ended, caller: Caller, index: int, now: int) -> int:
        try:
            return self._consents.acknowledge(
                removal.consent_id, caller.operator_id, removal.removed_at, caller.client_id, now
            )
        except Refused as refused:
            if refused.reason == RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND:
                raise _not_owed(index, "consent") from None
            raise invalid(
                *(
                    Violation(f"removals[{index}].{each.field}", each.description)
                    for each in refused.violations
                )
            ) from None


def _removals(
    messages: Sequence[pb.RemovalAcknowledgement], now: int
) -> list[Removed | RemovedElsewhere | _Ended]:
    if not 1 <= len(messages) <= _MOST_REMOVALS:
        raise invalid(Violation("removals", f"name 1 to {_MOST_REMOVALS}"))
    found: list[Violation] = []
    removals: list[Removed | RemovedElsewhere | _Ended] = []
    for index, message in enumerate(messages):
        at = f"removals[{index}]"
        found += _time_faults(f"{at}.remove_time", message, now)
        removed_at = min(message.remove_time.seconds, now)
        if message.WhichOneof("cause") == "consent":
            try:
                consent_id = consent_id_of(f"{at}.consent", message.consent)
            except Refused as refused:
                found += refused.violations
            else:
                removals.append(_Ended(consent_id, removed_at))
        elif message.region_event > 0:
            removals.append(RemovedElsewhere(message.region_event, removed_at))
        elif message.event_sequence > 0:
            removals.append(Removed(message.event_sequence, removed_at))
        else:
            found.append(
                Violation(
                    f"{at}.event_sequence", "name the event, or the consent, the copies went for"
                )
            )
    if found:
        raise invalid(*found[:_MOST_FAULTS])
    return removals


def _time_faults(field: str, message: pb.RemovalAcknowledgement, now: int) -> list[Violation]:
    if not message.HasField("remove_time"):
        return [Violation(field, "required: when the last copy was gone")]
    if message.remove_time.seconds > now + CLOCKS_APART_SECONDS:
        return [Violation(field, "must not be to come")]
    return instant_faults(field, message.remove_time)


def _gone_before(index: int) -> Refused:
    return invalid(
        Violation(
            f"removals[{index}].remove_time",
            "must not be before the event; give its time where no copy was held by then",
        )
    )


def _not_owed(index: int, cause: str) -> Refused:
    return Refused(
        RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND,
        f"removals[{index}]: you owe no removal for such {'an' if cause == 'event' else 'a'}"
        f" {cause}; those before it stand.",
        metadata={"removal": str(index)},
    )
