"""ConsentService: operators ask subjects for consent, and see what became of it.

An operator is party to its own consents alone; of any other it is told what it is told of
one that does not exist (G11).
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from consent.model import Actor, Consent
from consent.sql import SqlConsents
from consent.states import BY_ITSELF
from consent.unreadable import unreadable_left
from creditgate.refusal import Violation, invalid
from creditgate.v1 import consent_service_pb2 as pb
from gateway.authenticate.caller import Caller
from gateway.clock import Clock
from gateway.consents.accesses import Access, Accesses
from gateway.consents.artefact import subject_page
from gateway.consents.desk import ConsentDesk
from gateway.consents.listing import AccessesAsked, ConsentsAsked, accesses_asked, consents_asked
from gateway.consents.message import ConsentMessages, again_message
from gateway.consents.request import asked_consent, consent_id_of, revocation, unknown_consent
from gateway.consents.watch import ConsentWatch
from gateway.shares import Shares

_MOST_LOOKS: Final = 4
"""Most pages of consents that one page is made from: what is left is the next page's."""
_MOST_SETTLED: Final = 200
# Consents can be large, and a page is one message.
_MOST_PAGE_BYTES: Final = 2 << 20


class ConsentService:
    """The methods of ConsentService, for operators; ``issuer`` is the gateway's own URL."""

    def __init__(
        self,
        consents: SqlConsents,
        desk: ConsentDesk,
        messages: ConsentMessages,
        accesses: Accesses,
        watch: ConsentWatch,
        reads: Shares,
        clock: Clock,
        issuer: str,
    ) -> None:
        self._consents = consents
        self._desk = desk
        self._messages = messages
        self._accesses = accesses
        self._watch = watch
        self._reads = reads
        self._clock = clock
        self._issuer = issuer
        # Requests go one after the other anyway: let one thread wait for that, not many.
        self._asking = asyncio.Lock()

    async def request_consent(
        self, request: pb.RequestConsentRequest, caller: Caller
    ) -> pb.RequestConsentResponse:
        """Answer RequestConsent; raises Refused as `ConsentDesk.ask`."""
        asked = asked_consent(request, caller)
        async with self._asking:
            consent = await asyncio.to_thread(self._desk.ask, asked)
        return pb.RequestConsentResponse(
            consent=await asyncio.to_thread(self._messages.of, consent),
            answer_uri=subject_page(self._issuer, consent.consent_id),
        )

    async def get_consent(
        self, request: pb.GetConsentRequest, caller: Caller
    ) -> pb.GetConsentResponse:
        """Answer GetConsent; raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND."""
        consent_id = consent_id_of("name", request.name)
        consent = await asyncio.to_thread(self._own, consent_id, caller)
        return pb.GetConsentResponse(consent=await asyncio.to_thread(self._messages.of, consent))

    async def list_consents(
        self, request: pb.ListConsentsRequest, caller: Caller
    ) -> pb.ListConsentsResponse:
        """Answer ListConsents; raises Refused INVALID_REQUEST, SCOPE_NOT_GRANTED,
        RATE_EXCEEDED."""
        asked = consents_asked(request, caller)
        return await self._reads.run(caller.operator_id, self._page, asked)

    async def revoke_consent(
        self, request: pb.RevokeConsentRequest, caller: Caller
    ) -> pb.RevokeConsentResponse:
        """Answer RevokeConsent: the operator gives its consent up.

        Raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND; ETAG_MISMATCH where one is
        named; STATE_CONFLICT for a consent that ended otherwise.
        """
        consent_id, version = revocation(request)
        await asyncio.to_thread(self._own, consent_id, caller)
        revoked = await asyncio.to_thread(
            self._desk.revoke,
            consent_id,
            actor=Actor.OPERATOR,
            actor_id=caller.client_id,
            reason=request.reason,
            expected_version=version,
        )
        return pb.RevokeConsentResponse(consent=await asyncio.to_thread(self._messages.of, revoked))

    async def list_accesses(
        self, request: pb.ListAccessesRequest, caller: Caller
    ) -> pb.ListAccessesResponse:
        """Answer ListAccesses: the operator's own uses of a subject's records.

        Raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND, RATE_EXCEEDED.
        """
        asked = accesses_asked(request, caller)
        return await self._reads.run(caller.operator_id, self._accesses_page, asked, caller)

    async def watch_consents(
        self, request: pb.WatchConsentsRequest, caller: Caller
    ) -> AsyncIterator[pb.WatchConsentsResponse]:
        """Answer WatchConsents; raises Refused as `ConsentWatch.changes`."""
        async for response in self._watch.changes(request, caller):
            yield response

    def _own(self, consent_id: str, caller: Caller) -> Consent:
        consent = self._consents.get(consent_id)
        if consent is None or consent.operator_id != caller.operator_id:
            raise unknown_consent()
        return consent

    def _page(self, asked: ConsentsAsked) -> pb.ListConsentsResponse:
        page = pb.ListConsentsResponse()
        before, size = asked.before, 0
        self._settle(asked)
        for _ in range(_MOST_LOOKS):
            some = self._consents.listed(
                subject=asked.subject,
                operator_id=asked.operator_id,
                before=before,
                states=[asked.state] if asked.state else (),
                limit=asked.page_size,
            )
            for consent, message in zip(some, self._messages.each(some), strict=True):
                # What time or use has ended just now is not in the state asked for any more.
                wanted = asked.state in (pb.CONSENT_STATE_UNSPECIFIED, message.state)
                size += message.ByteSize() if wanted else 0
                full = len(page.consents) == asked.page_size or size > _MOST_PAGE_BYTES
                if wanted and page.consents and full:
                    page.next_page_token = asked.token(before)
                    return page
                if wanted:
                    page.consents.append(message)
                before = consent.consent_id
            if len(some) < asked.page_size:
                return page
        page.next_page_token = asked.token(before)
        return page

    def _settle(self, asked: ConsentsAsked) -> None:
        """Write the ends that have come by now, so that they are found by them."""
        if asked.state not in BY_ITSELF:
            return
        now = self._clock.now()
        for consent_id in self._consents.due(now, _MOST_SETTLED, asked.operator_id):
            with unreadable_left(consent_id):
                self._consents.settle(consent_id, now)

    def _accesses_page(self, asked: AccessesAsked, caller: Caller) -> pb.ListAccessesResponse:
        subject = asked.subject
        consent = self._own(asked.consent_id, caller) if asked.consent_id else None
        if consent is not None:
            if subject not in {"", consent.subject}:
                raise invalid(Violation("subject", "leave it empty: the consent has its own"))
            subject = consent.subject
        page = self._accesses.of_subject(
            subject,
            operator_id=caller.operator_id,
            consent="" if consent is None else consent.name,
            period=asked.period,
            before=asked.before,
            limit=asked.page_size,
        )
        return pb.ListAccessesResponse(
            accesses=map(_access_message, page.accesses),
            next_page_token=asked.token(page.before),
        )


def _access_message(access: Access) -> pb.ConsentAccess:
    return pb.ConsentAccess(
        usage=access.usage_name,
        consent=access.consent,
        operator_id=access.operator_id,
        record=f"records/{access.record_id}" if access.record_id else "",
        item=access.item,
        purpose=access.purpose,
        region=access.region,
        serve_time=Timestamp(seconds=access.served_at),
        home_region=access.home_region,
        recognised=access.recognised,
        given_again=None if access.again is None else again_message(access.again),
    )
