"""A gateway where operators ask for consents, and somebody who answers for every subject."""

from collections.abc import AsyncGenerator, Awaitable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from consent.model import Actor, Consent, ConsentItem, ConsentNotice
from consent.sql import SqlConsents
from creditgate.v1 import consent_service_pb2 as pb
from creditgate.v1 import credit_record_service_pb2 as records_pb
from creditgate.v1.audit_service_pb2_grpc import AuditServiceStub
from creditgate.v1.conformance_service_pb2_grpc import ConformanceServiceStub
from creditgate.v1.consent_service_pb2_grpc import ConsentServiceStub
from creditgate.v1.credit_record_service_pb2_grpc import CreditRecordServiceStub
from creditgate.v1.operator_service_pb2 import ClientRole, OperatorState
from creditgate.v1.vocabulary_pb2 import Interval
from gateway.authority.view import AuthorityView
from gateway.consents.desk import ConsentDesk
from gateway.consents.receipt import ConsentReceipts
from gateway.oauth.grants import SqlOAuthGrants
from gateway.oauth.signing import SigningKeys
from operators.log import Draft
from operators.model import OPERATOR
from sdk.refusals import Refusal, explain
from tests import consenting
from tests.installation import (
    ADMINISTRATOR,
    CONSENT_ITEM,
    OPERATOR_CLIENT,
    OPERATOR_ID,
    PUBLISHER,
    PURPOSE,
    Gateway,
    Installation,
    company,
)
from tests.patience import patiently
from tests.server.calls import draft, publish

Items = Iterable[str | pb.ConsentItem]
if TYPE_CHECKING:
    from creditgate.v1.audit_service_pb2_grpc import AuditServiceAsyncStub
    from creditgate.v1.conformance_service_pb2_grpc import ConformanceServiceAsyncStub
    from creditgate.v1.consent_service_pb2_grpc import ConsentServiceAsyncStub

DAY: Final = 86_400
OTHER: Final = "beta"
OTHER_CLIENT: Final = "beta-one"
SIGNER: Final = "representative:" + "7" * 32
NOTICE: Final = ConsentNotice(
    policy_version="1",
    text_digest=sha256("读过的".encode()).hexdigest(),
    language="zh-CN",
    text="读过的",
)
_numbers: Final = count(1_000)


def new_subject() -> str:
    """Return an invented company of no other test."""
    return company(next(_numbers))


def furnish(installation: Installation) -> None:
    """Put in what these tests need besides: another operator."""
    installation.license(OTHER, "L-BETA")
    installation.enrol(OTHER_CLIENT, ClientRole.CLIENT_ROLE_OPERATOR, OTHER)


@dataclass(frozen=True)
class Counter:
    """A gateway that answers, and what its parties call."""

    gateway: Gateway
    alpha: grpc.aio.Channel
    beta: grpc.aio.Channel
    administrator: grpc.aio.Channel

    @property
    def installation(self) -> Installation:
        """The installation that runs."""
        return self.gateway.installation

    @property
    def now(self) -> int:
        """Its time."""
        return self.installation.clock.now()

    @property
    def consents(self) -> SqlConsents:
        """Its consents."""
        return SqlConsents(self.installation.engines.records)

    @property
    def operator(self) -> "ConsentServiceAsyncStub":
        """The methods of consents, as alpha calls them."""
        return ConsentServiceStub(self.alpha)

    @property
    def rival(self) -> "ConsentServiceAsyncStub":
        """The methods of consents, as beta calls them."""
        return ConsentServiceStub(self.beta)

    @property
    def conformance(self) -> "ConformanceServiceAsyncStub":
        """The methods of conformance, as alpha calls them."""
        return ConformanceServiceStub(self.alpha)

    @property
    def audit(self) -> "AuditServiceAsyncStub":
        """The methods of the audit, as the administrator calls them."""
        return AuditServiceStub(self.administrator)

    @property
    def desk(self) -> ConsentDesk:
        """The desk of another process on the same store: where subjects answer."""
        return desk_of(self.installation, self.gateway.running.issuer)

    def terms(self, items: Items = (CONSENT_ITEM,), **changed: Any) -> pb.ConsentTerms:
        """Return terms for thirty days of use."""
        return terms(self.now, items, **changed)

    async def ask(
        self,
        subject: str = "",
        asked: pb.ConsentTerms | None = None,
        *,
        by: "ConsentServiceAsyncStub | None" = None,
        request_id: str = "",
        **more: Any,
    ) -> pb.Consent:
        """Ask for a consent and return it."""
        request = pb.RequestConsentRequest(
            subject=subject or new_subject(),
            terms=asked or self.terms(),
            request_id=request_id or uuid4().hex,
            **more,
        )
        asker = by or self.operator
        answer: pb.RequestConsentResponse = await patiently(lambda: asker.RequestConsent(request))
        return answer.consent

    def grant(self, consent: pb.Consent) -> Consent:
        """Grant a consent, as its subject."""
        return self.desk.grant(
            id_of(consent.name),
            expected_version=int(consent.etag),
            signer=SIGNER,
            delegation="",
            notice=NOTICE,
        )

    async def given(
        self, subject: str = "", asked: pb.ConsentTerms | None = None, **more: Any
    ) -> pb.Consent:
        """Ask for a consent, have it granted and return it."""
        consent = await self.ask(subject, asked, **more)
        self.grant(consent)
        return await self.read(consent.name, more.get("by"))

    async def short_lived(self, subject: str, seconds: int) -> pb.Consent:
        """Return a consent with a data life of seconds, shorter than may be asked for."""
        agreed = consenting.terms(
            [ConsentItem(item=CONSENT_ITEM, fields=frozenset({"finding"}))],
            purposes=frozenset({PURPOSE}),
            valid_until=self.now + 30 * DAY,
            data_life_seconds=seconds,
        )
        made = consenting.given(self.consents, subject, agreed, operator_id=OPERATOR_ID)
        return await self.read(made.name)

    async def read(self, name: str, by: "ConsentServiceAsyncStub | None" = None) -> pb.Consent:
        """Return a consent as it is."""
        asker, request = by or self.operator, pb.GetConsentRequest(name=name)
        answer: pb.GetConsentResponse = await patiently(lambda: asker.GetConsent(request))
        return answer.consent

    def revoke(self, consent: pb.Consent) -> Consent:
        """Take a consent back, as its subject."""
        return self.desk.revoke(
            id_of(consent.name), actor=Actor.SUBJECT, actor_id=SIGNER, reason=""
        )

    async def published(self) -> str:
        """Publish a record of the consent-only item about a new subject, and return that."""
        subject = new_subject()
        async with self.gateway.channel(PUBLISHER) as publisher:
            await publish(publisher, [draft(f"r-{subject}", subject, CONSENT_ITEM)])
        return subject

    async def use(
        self, consent: pb.Consent, items: Iterable[str] = (CONSENT_ITEM,), request_id: str = ""
    ) -> records_pb.GetSubjectRecordsResponse:
        """Have alpha ask for records under a consent."""
        return await CreditRecordServiceStub(self.alpha).GetSubjectRecords(
            records_pb.GetSubjectRecordsRequest(
                subject=consent.subject,
                items=list(items),
                purpose=PURPOSE,
                consent=consent.name,
                request_id=request_id or uuid4().hex,
            ),
            timeout=10,
        )

    def set_operator(
        self, state: OperatorState.ValueType, reason: str = "test", operator_id: str = OTHER
    ) -> None:
        """Suspend, reinstate or revoke an operator."""
        set_operator(self.installation, state, reason, operator_id)


def set_operator(
    installation: Installation,
    state: OperatorState.ValueType,
    reason: str = "test",
    operator_id: str = OTHER,
) -> None:
    """Suspend, reinstate or revoke an operator."""
    newest = installation.log.history(kind=OPERATOR, id=operator_id, after=0, limit=1_000)[-1]
    installation.log.append(
        [Draft(OPERATOR, operator_id, newest.version, {**newest.document, "state": state})],
        changed_by=ADMINISTRATOR,
        changed_at=installation.clock.now(),
        reason=reason,
    )


def desk_of(installation: Installation, issuer: str = "https://gateway.test") -> ConsentDesk:
    """Return the desk of a process on an installation's store."""
    engines, clock = installation.engines, installation.clock
    grants = SqlOAuthGrants(engines.authority)

    def view() -> AuthorityView:
        return AuthorityView().advanced(installation.log.since(0))

    def end_grants(consent: str) -> None:
        grants.end_for_consent(consent, clock.now())

    receipts = ConsentReceipts(SigningKeys(installation.home.keys), view, issuer, clock)
    return ConsentDesk(SqlConsents(engines.records), receipts, view, clock, end_grants)


def terms(now: int, items: Items = (CONSENT_ITEM,), **changed: Any) -> pb.ConsentTerms:
    """Return terms for thirty days of use from ``now`` on."""
    usual: dict[str, Any] = {
        "items": [pb.ConsentItem(item=each) if isinstance(each, str) else each for each in items],
        "purposes": [PURPOSE],
        "answer_form": pb.CONSENT_ANSWER_FORM_RECORDS,
        "access_mode": pb.CONSENT_ACCESS_MODE_WITHIN_PERIOD,
        "validity": Interval(
            start_time=Timestamp(seconds=now - 60), end_time=Timestamp(seconds=now + 30 * DAY)
        ),
        "data_life": Duration(seconds=10 * DAY),
        "data_life_end": pb.DATA_LIFE_END_DELETE,
        "regions": ["*"],
    }
    return pb.ConsentTerms(**usual | changed)


@asynccontextmanager
async def open_counter(gateway: Gateway) -> AsyncGenerator[Counter]:
    """Open the channels of all parties."""
    async with AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(gateway.channel(client_id))
            for client_id in (OPERATOR_CLIENT, OTHER_CLIENT, ADMINISTRATOR)
        ]
        yield Counter(gateway, *channels)


def id_of(name: str) -> str:
    """Return the id in a consent's name."""
    return name.removeprefix("consents/")


async def refusal_of(call: Awaitable[object]) -> Refusal:
    """Return why a call is refused; fail where it is answered."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return explain(refused.value)


def fields_of(refusal: Refusal) -> set[str]:
    """Return the fields a refusal finds faulty."""
    return {violation.field for violation in refusal.violations}
