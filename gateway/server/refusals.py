"""The log of calls that the ledger does not know: who was refused what, when and why, and who was
told something that is not metered; durable before the answer (G7)."""

import logging
from typing import Final

from google.protobuf.message import Message

from creditgate.refusal import Refused
from creditgate.request_ids import is_request_id
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.authenticate.caller import Caller
from gateway.clock import Clock
from gateway.meter.committer import GroupCommitter
from gateway.meter.decisions import DecisionIds
from gateway.meter.model import RefusalEntry
from gateway.respond.request import names_a_consent

_NO_REASON: Final = RefusalReason.REFUSAL_REASON_UNSPECIFIED
_log = logging.getLogger(__name__)


class RefusalLog:
    """Notes refusals of known clients; strangers are only counted."""

    def __init__(self, committer: GroupCommitter, decisions: DecisionIds, clock: Clock) -> None:
        self._committer = committer
        self._decisions = decisions
        self._clock = clock

    async def note(
        self, caller: Caller, method: str, request: Message | None, refused: Refused
    ) -> str:
        """Return the decision id once the refusal is durable.

        A log that cannot be written changes nothing for the caller, who is refused
        anyway; "" is returned then.
        """
        entry = self._entry(caller, method, request, refused.reason)
        try:
            await self._committer.log_refusal(entry)
        except Refused as error:
            _log.error("a refusal could not be logged: %s", error.reason)
            return ""
        return entry.decision_id

    async def note_told(self, caller: Caller, method: str, request: Message) -> None:
        """Return once it is durable that a caller is told what is not metered.

        Raises Refused TEMPORARILY_UNAVAILABLE where it cannot be written: nothing is told then.
        """
        await self._committer.log_refusal(self._entry(caller, method, request, _NO_REASON))

    def _entry(
        self,
        caller: Caller,
        method: str,
        request: Message | None,
        reason: RefusalReason.ValueType,
    ) -> RefusalEntry:
        request_id: str = getattr(request, "request_id", "")
        purpose: Purpose.ValueType = getattr(request, "purpose", Purpose.PURPOSE_UNSPECIFIED)
        return RefusalEntry(
            decision_id=self._decisions.next(),
            at=self._clock.now(),
            client_id=caller.client_id,
            method=method,
            reason=reason,
            purpose=purpose,
            # What was refused may be malformed itself; only what has the right form is kept.
            request_id=request_id if is_request_id(request_id) else "",
            consent=_consent_named(request),
        )


def _consent_named(request: Message | None) -> str:
    """Return the consent a request relies on, or is about; "" for none."""
    for field in ("consent", "name"):
        value: object = getattr(request, field, "")
        if isinstance(value, str) and names_a_consent(value):
            return value
    return ""
