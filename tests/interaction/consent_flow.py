"""Requests that ask for a consent, gone through by a client, a browser and a person."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from json import dumps
from secrets import token_urlsafe
from typing import Any, Final
from uuid import uuid4

import grpc
import httpx

from consent.delegation import Delegation, Power
from consent.delegations_sql import SqlDelegations
from consent.model import Consent
from consent.sql import SqlConsents
from creditgate.v1 import consent_service_pb2 as consent_pb
from creditgate.v1 import consent_service_pb2_grpc as consent_grpc
from creditgate.v1 import credit_record_service_pb2 as records_pb
from creditgate.v1 import credit_record_service_pb2_grpc as records_grpc
from gateway.oauth.secret import digest_of
from gateway.signin.principals import Principals
from operators.authorization_details import TYPE
from sdk.refusals import explain
from tests.installation import CONSENT_ITEM, PUBLISHER, PURPOSE
from tests.interaction.world import World
from tests.parties import Party, enrolled, grant_all
from tests.people import COMPANY, Asking, Browser, answer_of
from tests.server.calls import draft, publish

REPRESENTATIVE: Final = "li-ming"
READ: Final = "credit.records:read"
DAY: Final = 86_400
TERMS: Final[dict[str, Any]] = {
    "access_mode": "WITHIN_PERIOD",
    "data_life": 30 * DAY,
    "data_life_end": "DELETE",
    "message": "About your loan (invented).",
}


def asking(world: World, terms: dict[str, Any] | None = None, **changed: Any) -> str:
    """Return details that ask for a consent of the company li-ming represents."""
    detail = {
        "type": TYPE,
        "items": [CONSENT_ITEM],
        "subjects": [COMPANY],
        "purposes": ["SUPPLIER_CHECK"],
        "regions": ["*"],
        "period": {"until": world.installation.clock.now() + 90 * DAY},
        "consent_terms": {**TERMS, **(terms or {})},
        **changed,
    }
    return dumps([detail])


async def asked(
    world: World,
    party: Party,
    details: str = "",
    *,
    subject: str = REPRESENTATIVE,
    visitor: Browser | None = None,
    scope: str = READ,
) -> tuple[Asking, httpx.Response]:
    """Return (the client that asks, the page after signing in)."""
    asking_ = await world.ask(scope, party, authorization_details=details or asking(world))
    return asking_, await world.approval_page(asking_, subject, visitor)


async def consented(world: World, party: Party, details: str = "") -> tuple[Asking, dict[str, Any]]:
    """Have the representative consent, and return (the client, its token response)."""
    asking_, page = await asked(world, party, details)
    done = await world.browser.submit(page, decision="approve")
    return asking_, await asking_.token(asking_.code_of(done))


def consents(world: World) -> SqlConsents:
    """Return the consents of the installation."""
    return SqlConsents(world.installation.engines.records)


def kept(world: World, party: Party) -> tuple[Consent, ...]:
    """Return all consents that a party's operator asked the company for."""
    return consents(world).listed(subject=COMPANY, operator_id=party.record.operator_id, limit=100)


async def new_operator(world: World) -> Party:
    """License another operator, and enrol a client of its own for the code flow."""
    operator_id = f"firm-{uuid4().hex[:12]}"
    installation = world.installation
    installation.license(operator_id, f"L-{operator_id}")
    grant_all(installation, operator_id)
    party = enrolled(
        installation,
        f"{operator_id}-portal",
        grant_types=("authorization_code", "refresh_token"),
        operator_id=operator_id,
    )
    await world.caught_up()
    return party


def principal_of(world: World, subject: str) -> str:
    """Return the principal somebody acts as once signed in."""
    principals = Principals.kept_in(world.installation.engines.authority)
    return principals.representative(world.issuer, subject)


def deputy(
    world: World, person: str, powers: Iterable[Power] = (Power.ANSWER,), **changed: Any
) -> Delegation:
    """Make somebody a deputy of the company, as they are once they accepted."""
    now, secret = world.installation.clock.now(), token_urlsafe(32)
    delegations = SqlDelegations(world.installation.engines.records)
    delegations.invite(
        Delegation.model_validate(
            {
                "delegation_id": uuid4().hex,
                "subject": COMPANY,
                "appointed_by": principal_of(world, REPRESENTATIVE),
                "label": "a deputy (invented)",
                "powers": frozenset(powers),
                "valid_from": now - DAY,
                "valid_until": now + DAY,
                **changed,
            }
        ),
        digest_of(secret),
    )
    accepted = delegations.accept(digest_of(secret), principal_of(world, person), now)
    assert accepted is not None
    return accepted


def dismiss(world: World, subject: str) -> None:
    """End all that somebody is a deputy by."""
    delegations = SqlDelegations(world.installation.engines.records)
    for delegation in delegations.of_deputy(principal_of(world, subject)):
        delegations.end(
            delegation.delegation_id, delegation.appointed_by, world.installation.clock.now()
        )


async def request_by_service(world: World) -> None:
    """Ask the company for a consent by the service, for its inbox."""
    now = world.installation.clock.now()
    terms = consent_pb.ConsentTerms(
        items=[consent_pb.ConsentItem(item=CONSENT_ITEM)],
        purposes=[PURPOSE],
        answer_form=consent_pb.ConsentAnswerForm.CONSENT_ANSWER_FORM_RECORDS,
        access_mode=consent_pb.ConsentAccessMode.CONSENT_ACCESS_MODE_ONCE,
        data_life_end=consent_pb.DataLifeEnd.DATA_LIFE_END_DELETE,
        regions=["*"],
    )
    terms.data_life.seconds = DAY
    terms.validity.start_time.seconds = now
    terms.validity.end_time.seconds = now + DAY
    async with world.gateway.channel() as channel:
        await consent_grpc.ConsentServiceStub(channel).RequestConsent(
            consent_pb.RequestConsentRequest(subject=COMPANY, terms=terms, request_id=str(uuid4()))
        )


async def publish_tax(world: World) -> None:
    """Publish an invented record that is open by consent alone."""
    async with world.gateway.channel(PUBLISHER) as channel:
        await publish(channel, [draft("tax-1", COMPANY, CONSENT_ITEM)])


@asynccontextmanager
async def channel_of(world: World, party: Party) -> AsyncGenerator[grpc.aio.Channel]:
    """Give a channel that shows a party's certificate and sends no token of its own."""
    credentials = grpc.ssl_channel_credentials(
        world.installation.home.ca.read_bytes(),
        (party.folder / "key.pem").read_bytes(),
        (party.folder / "certificate.pem").read_bytes(),
    )
    async with grpc.aio.secure_channel(world.gateway.running.grpc, credentials) as opened:
        yield opened


async def answer_to(
    channel: grpc.aio.Channel, token: str, consent: str = "", subject: str = COMPANY
) -> tuple[str, list[str]]:
    """Ask by a token for the consented item, and return (why refused, "" where not; records)."""
    call = records_grpc.CreditRecordServiceStub(channel).GetSubjectRecords(
        records_pb.GetSubjectRecordsRequest(
            subject=subject,
            items=[CONSENT_ITEM],
            purpose=PURPOSE,
            consent=consent,
            request_id=str(uuid4()),
        ),
        timeout=10,
        metadata=(("authorization", f"Bearer {token}"),),
    )
    try:
        answer: records_pb.GetSubjectRecordsResponse = await call
    except grpc.aio.AioRpcError as error:
        return explain(error).reason, []
    return "", [record.name for record in answer.records]


def error_of(response: httpx.Response) -> str:
    """Return the error the browser brings back to the client."""
    return answer_of(response)["error"]
