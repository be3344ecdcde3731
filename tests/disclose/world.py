"""The disclosure service over a real store, a real authority log and a clock that stands."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic

import pytest

from creditgate.refusal import Refused
from creditgate.v1 import disclosure_service_pb2 as pb
from creditgate.v1.operator_service_pb2 import ClientRole
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from gateway.authority.feed import AuthorityFeed, PollBell
from gateway.catalogue.model import CATALOGUE_ITEM
from gateway.disclose.lookup import DisclosureLookup, Found, open_lookup
from gateway.disclose.service import CORRECT, PUBLISH, REPAIR, WITHDRAW, DisclosureService
from gateway.disclose.store import DisclosureStore
from gateway.oauth.revocation_log import SqlRevocationLog
from gateway.pki.client_keys import make_assertion_key
from gateway.storage.engines import Engines
from operators.log import Draft
from operators.model import CLIENT, SCOPE_GRANT, Client, ScopeGrant
from operators.sql import SqlAuthorityLog
from tests.catalogue.drafts import NOW, national
from tests.clock import StandingClock

SITE = "official-site"
SCOPES = (PUBLISH, CORRECT, REPAIR, WITHDRAW)
PUBLISHER = Caller(SITE, ClientRole.CLIENT_ROLE_PUBLISHER, "", frozenset(SCOPES), NOW)


def soon(turn: Callable[[], None]) -> None:
    """Let lookups have their turn with the next of the event loop."""
    asyncio.get_running_loop().call_soon(turn)


@dataclass
class World:
    """One process's disclosure over a store that others may share."""

    engines: Engines
    clock: StandingClock = field(default_factory=StandingClock)

    def __post_init__(self) -> None:
        self.log = SqlAuthorityLog(self.engines.authority)
        self.feed = AuthorityFeed(
            self.log,
            revocations=SqlRevocationLog(self.engines.authority),
            clock=self.clock,
            poll_seconds=60,
            lease_seconds=600,
            monotonic=monotonic,
            bell=PollBell(),
        )
        self.store = DisclosureStore(self.engines.records)
        self.lookup: DisclosureLookup = open_lookup(self.engines.records, soon)
        self.service = DisclosureService(self.store, self.feed, self.clock)

    async def start(self) -> None:
        """Put the shipped catalogue and one publisher into force."""
        client = Client(
            client_id=SITE,
            role=ClientRole.CLIENT_ROLE_PUBLISHER,
            jwks=make_assertion_key().jwks,
            certificate_thumbprints=frozenset({"A" * 43}),
        )
        drafts = [
            Draft(CATALOGUE_ITEM, code, 0, item.as_document()) for code, item in national().items()
        ]
        drafts.append(Draft(CLIENT, SITE, 0, client.as_document()))
        for number, scope in enumerate(SCOPES, 1):
            grant = ScopeGrant(grant_id=f"grant-{number}", grantee=SITE, scope=scope, valid_from=0)
            drafts.append(Draft(SCOPE_GRANT, grant.grant_id, 0, grant.as_document()))
        self.append(drafts)
        await self.feed.refresh()

    def append(self, drafts: Sequence[Draft]) -> None:
        """Write to the authority log."""
        self.log.append(drafts, changed_by="office", changed_at=NOW, reason="test")

    async def stop(self) -> None:
        """Give back threads and connections."""
        self.lookup.close()
        await self.feed.stop()

    async def publish(self, *batches: pb.PublishRecordsRequest) -> pb.PublishRecordsResponse:
        """Send batches in one feed."""
        return await self.service.publish_records(feed_of(batches), PUBLISHER)

    async def correct(
        self, draft: pb.RecordDraft, expected_revision: int, *, reason: str = "typing error"
    ) -> pb.CorrectRecordResponse:
        """Correct a record to content, severity and period of ``draft``."""
        request = pb.CorrectRecordRequest(
            name=f"records/{draft.record_id}",
            expected_revision=expected_revision,
            content=draft.content,
            severity=draft.severity,
            reason=reason,
        )
        if draft.HasField("disclosed_from"):
            request.disclosed_from.CopyFrom(draft.disclosed_from)
        if draft.HasField("disclosed_until"):
            request.disclosed_until.CopyFrom(draft.disclosed_until)
        return await self.service.correct_record(request, PUBLISHER)

    async def repair(
        self,
        record_id: str,
        expected_revision: int,
        decision_reference: str = "虚构修决〔2026〕1号",
    ) -> pb.RepairRecordResponse:
        """Repair a record."""
        return await self.service.repair_record(
            pb.RepairRecordRequest(
                name=f"records/{record_id}",
                expected_revision=expected_revision,
                decision_reference=decision_reference,
            ),
            PUBLISHER,
        )

    async def withdraw(
        self, record_id: str, expected_revision: int, reason: str = "revoked"
    ) -> pb.WithdrawRecordResponse:
        """Withdraw a record."""
        return await self.service.withdraw_record(
            pb.WithdrawRecordRequest(
                name=f"records/{record_id}", expected_revision=expected_revision, reason=reason
            ),
            PUBLISHER,
        )

    def served(self, found: Found) -> list[bytes]:
        """Return the frames of ``found`` whose period holds now."""
        now = self.clock.now()
        return [
            stored
            for _, _, _, disclosed_from, disclosed_until, stored in found.revisions
            if disclosed_from <= now < disclosed_until
        ]


async def feed_of(
    batches: Sequence[pb.PublishRecordsRequest],
) -> AsyncIterator[pb.PublishRecordsRequest]:
    """Send batches one after the other."""
    for batch in batches:
        yield batch


def batch(batch_id: str, *drafts: pb.RecordDraft) -> pb.PublishRecordsRequest:
    """Return a batch of drafts."""
    return pb.PublishRecordsRequest(batch_id=batch_id, records=drafts)


def counts(answer: pb.PublishRecordsResponse) -> tuple[int, ...]:
    """Return batches committed and skipped, records published, unchanged and rejected."""
    return (
        answer.committed_batches,
        answer.skipped_batches,
        answer.published_records,
        answer.unchanged_records,
        answer.rejected_records,
    )


def reason_of(refusal: pytest.ExceptionInfo[Refused]) -> str:
    """Return the short name of a refusal's reason."""
    return RefusalReason.Name(refusal.value.reason).removeprefix("REFUSAL_REASON_")
