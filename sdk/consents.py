"""Consents from an operator's side: ask for one, follow what becomes of it, clear up.

Over a channel of `sdk.connection.connect`. What is served under a consent is asked for by
CreditRecordService, naming it.
"""

from collections.abc import AsyncGenerator, Iterable
from typing import Final, NamedTuple

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1.conformance_service_pb2 import (
    AcknowledgeRemovalsRequest,
    AcknowledgeRemovalsResponse,
    RemovalAcknowledgement,
)
from creditgate.v1.conformance_service_pb2_grpc import ConformanceServiceStub
from creditgate.v1.consent_service_pb2 import (
    Consent,
    ConsentEvent,
    ConsentTerms,
    RequestConsentRequest,
    RequestConsentResponse,
    RevokeConsentRequest,
    WatchConsentsRequest,
    WatchConsentsResponse,
)
from creditgate.v1.consent_service_pb2_grpc import ConsentServiceStub
from sdk.following import Following
from sdk.request_ids import new_request_id

_DEADLINE_SECONDS: Final = 30


class Copies(NamedTuple):
    """Copies that were made under ``consent``, by the name that the calls stated; those alone that
    ``region`` gave, by its entity identifier, "" for all of them."""

    consent: str
    region: str


def copies_of(event: ConsentEvent) -> Copies:
    """Return the copies that a change is about.

    What a subject has taken back in the region that gave it has a name of its own, by which it is
    acknowledged; no call ever stated that.
    """
    return Copies(event.part_of or event.consent, event.region)


class Consents:
    """The consents of the operator that the channel acts for.

    A followed stream that is silent for ``silence_seconds`` counts as broken: the gateway
    gives a sign of life every 15 seconds. ``pause_seconds`` lie before the first attempt to
    take it up again, twice as many before each further one, up to half a minute.
    """

    def __init__(
        self, channel: grpc.aio.Channel, *, silence_seconds: float = 45, pause_seconds: float = 1
    ) -> None:
        self._consents = ConsentServiceStub(channel)
        self._conformance = ConformanceServiceStub(channel)
        self._silence_seconds = silence_seconds
        self._pause_seconds = pause_seconds

    async def request(
        self,
        subject: str,
        terms: ConsentTerms,
        *,
        message: str = "",
        language: str = "",
        answer_until: int | None = None,
        request_id: str | None = None,
    ) -> RequestConsentResponse:
        """Ask a subject, by its credit code; the answer has the page where it answers.

        ``answer_until`` in seconds, UTC; None for the gateway's 7 days. Give the same
        ``request_id`` to try again; None makes a new one. Raises grpc.RpcError.
        """
        request = RequestConsentRequest(
            subject=subject,
            terms=terms,
            message=message,
            language=language,
            answer_until=None if answer_until is None else Timestamp(seconds=answer_until),
            request_id=request_id or new_request_id(),
        )
        return await self._consents.RequestConsent(request, timeout=_DEADLINE_SECONDS)

    async def revoke(self, name: str, reason: str = "") -> Consent:
        """Give a consent up, whatever its version; it says what must be removed by when.

        Raises grpc.RpcError.
        """
        request = RevokeConsentRequest(name=name, reason=reason)
        answer = await self._consents.RevokeConsent(request, timeout=_DEADLINE_SECONDS)
        return answer.consent

    async def acknowledge(
        self, names: Iterable[str], removed_at: int
    ) -> AcknowledgeRemovalsResponse:
        """Report that nothing is held any more of what was served under consents by ``removed_at``
        (seconds, UTC), when the last copy of it was gone.

        It is the word on each removal owed for that. Doing so again changes nothing. Raises
        grpc.RpcError.
        """
        removals = [
            RemovalAcknowledgement(consent=name, remove_time=Timestamp(seconds=removed_at))
            for name in names
        ]
        return await self._conformance.AcknowledgeRemovals(
            AcknowledgeRemovalsRequest(removals=removals), timeout=_DEADLINE_SECONDS
        )

    def follow(self, after: int = 0) -> AsyncGenerator[WatchConsentsResponse]:
        """Yield each change after that of sequence ``after``, in order, for ever.

        Keep ``event.sequence`` once a change is dealt with, and begin there the next time:
        no change is then missed. A connection that breaks or falls silent is made anew.
        Leave it by ``contextlib.aclosing``. Raises grpc.RpcError for a refusal that waiting
        does not mend.
        """
        return Following[WatchConsentsResponse](
            name="consents",
            watch=lambda position: self._consents.WatchConsents(
                WatchConsentsRequest(after_sequence=position)
            ),
            position=_position,
            silence_seconds=self._silence_seconds,
            pause_seconds=self._pause_seconds,
        ).after(after)


def _position(answer: WatchConsentsResponse) -> int:
    return answer.event.sequence
