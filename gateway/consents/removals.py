"""AcknowledgeRemovals: operators report that copies made under ended consents are gone (G9)."""

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

from consent.sql import SqlConsents
from creditgate.refusal import Refused, Violation, invalid
from creditgate.v1 import conformance_service_pb2 as pb
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from gateway.clock import Clock
from gateway.consents.request import consent_id_of
from gateway.instants import instant_faults

_MOST_REMOVALS: Final = 1_000
_MOST_FAULTS: Final = 100


class Removed(NamedTuple):
    """Copies made under a consent that are gone since ``removed_at`` (seconds, UTC)."""

    consent_id: str
    removed_at: int


class RemovalService:
    """The methods of ConformanceService that are about consents."""

    def __init__(self, consents: SqlConsents, clock: Clock) -> None:
        self._consents = consents
        self._clock = clock

    async def acknowledge_removals(
        self, request: pb.AcknowledgeRemovalsRequest, caller: Caller
    ) -> pb.AcknowledgeRemovalsResponse:
        """Answer AcknowledgeRemovals.

        Removals are taken one after the other; those before one that is refused stand, and
        acknowledging them again changes nothing. Raises Refused INVALID_REQUEST;
        RESOURCE_NOT_FOUND, its metadata ``removal`` telling which, where the operator owes
        nothing for a consent, or is not party to it (G11).
        """
        removals = _removals(request.removals, self._clock.now())
        return await asyncio.to_thread(self._acknowledge, removals, caller)

    def _acknowledge(
        self, removals: Sequence[Removed], caller: Caller
    ) -> pb.AcknowledgeRemovalsResponse:
        now = self._clock.now()
        new = 0
        for index, removal in enumerate(removals):
            try:
                new += self._consents.acknowledge(
                    removal.consent_id,
                    caller.operator_id,
                    removal.removed_at,
                    caller.client_id,
                    now,
                )
            except Refused as refused:
                raise _placed(refused, index) from None
        owed = self._consents.owed(caller.operator_id, now)
        response = pb.AcknowledgeRemovalsResponse(
            acknowledged_removals=new, outstanding_removals=owed.outstanding
        )
        if owed.next_deadline is not None:
            response.next_deadline.seconds = owed.next_deadline
        return response


def _removals(messages: Sequence[pb.RemovalAcknowledgement], now: int) -> list[Removed]:
    if not 1 <= len(messages) <= _MOST_REMOVALS:
        raise invalid(Violation("removals", f"name 1 to {_MOST_REMOVALS}"))
    found: list[Violation] = []
    removals: list[Removed] = []
    for index, message in enumerate(messages):
        at = f"removals[{index}]"
        found += _time_faults(f"{at}.remove_time", message, now)
        if message.WhichOneof("cause") == "consent":
            try:
                consent_id = consent_id_of(f"{at}.consent", message.consent)
            except Refused as refused:
                found += refused.violations
            else:
                removals.append(Removed(consent_id, message.remove_time.seconds))
        else:
            found.append(
                Violation(f"{at}.event_sequence", "not owed: removals are owed for consents alone")
            )
    if found:
        raise invalid(*found[:_MOST_FAULTS])
    return removals


def _time_faults(field: str, message: pb.RemovalAcknowledgement, now: int) -> list[Violation]:
    if not message.HasField("remove_time"):
        return [Violation(field, "required: when the last copy was gone")]
    if message.remove_time.seconds > now:
        return [Violation(field, "must not be to come")]
    return instant_faults(field, message.remove_time)


def _placed(refused: Refused, index: int) -> Refused:
    """Return the refusal of one removal as that of the call."""
    if refused.reason != RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND:
        return invalid(
            *(
                Violation(f"removals[{index}].{each.field}", each.description)
                for each in refused.violations
            )
        )
    return Refused(
        refused.reason,
        f"removals[{index}]: you owe no removal for such a consent; those before it stand.",
        metadata={"removal": str(index)},
    )
