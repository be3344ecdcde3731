"""Two regions: one asks, for its operator alpha; the other is home of what it asks for."""

import json
import ssl
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import grpc
import httpx

from consent.sql import SqlConsents
from creditgate.v1 import federation_service_pb2 as pb
from creditgate.v1.consent_service_pb2 import Consent as ConsentMessage
from creditgate.v1.disclosure_proof_pb2 import ProofKind
from creditgate.v1.federation_service_pb2_grpc import FederationServiceStub
from gateway.authority.view import AuthorityView
from gateway.federation.credentials.issuing import LicenceCredentials
from gateway.federation.home.exchange import TOKEN_TYPE
from gateway.federation.home.service import SCOPE
from gateway.oauth.signing import SigningKeys
from operators.item_mappings import ITEM_MAPPING, ItemMapping
from operators.model import TOKEN_EXCHANGE
from sdk.refusals import Refusal, explain
from sdk.tokens import TokenRefused
from tests.consents.counter import OTHER_CLIENT, Counter, furnish, open_counter
from tests.federating import Anchor, RegionGateway, federation
from tests.federation.channels import Channels
from tests.installation import (
    CONSENT_ITEM,
    OPERATOR_ID,
    PUBLIC_ITEM,
    PUBLISHER,
    PURPOSE,
    company,
    eventually,
)
from tests.server.calls import draft, publish
from tests.stores import PostgresStores, SqliteStores

LICENCE: Final = "L-ALPHA"
WITHIN_SECONDS: Final = 1.0
"""Within a second it must have come here (G4); the call that finds out takes its time too."""
ITEMS: Final = {PUBLIC_ITEM: PUBLIC_ITEM, CONSENT_ITEM: CONSENT_ITEM}
_numbers: Final = count(40_000)


@dataclass
class Pair:
    """The regions, and calls of the asking one at the other."""

    anchor: Anchor
    asking: RegionGateway
    home: RegionGateway
    counter: Counter
    channel: grpc.aio.Channel
    channels: Channels
    tokens: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def operator_id(self) -> str:
        """What the asking region is at home."""
        return "region-one"

    @property
    def consents(self) -> SqlConsents:
        """The consents of the home region."""
        return SqlConsents(self.home.installation.engines.records)

    def credential(self, operator_id: str = OPERATOR_ID, licence: str = LICENCE) -> str:
        """Return the credential of an operator of the asking region, for it to present."""
        installation = self.asking.installation

        def view() -> AuthorityView:
            return AuthorityView().advanced(installation.log.since(0))

        return LicenceCredentials(
            self.asking.entity_id,
            self.asking.own().assertion_key.kid,
            view,
            SigningKeys(installation.home.keys),
            installation.clock,
        ).of(operator_id, licence)

    async def exchange(self, credential: str, **more: str) -> httpx.Response:
        """Ask for a token for a credential."""
        own = self.asking.own()
        form = {
            "grant_type": TOKEN_EXCHANGE,
            "subject_token": credential,
            "subject_token_type": TOKEN_TYPE,
            "scope": SCOPE,
            "client_id": own.client_id,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": own.assertion(self.home.entity_id),
            **more,
        }
        context = ssl.create_default_context(cafile=self.home.installation.home.ca)
        context.load_cert_chain(own.certificate, own.key)
        async with httpx.AsyncClient(verify=context) as http:
            return await http.post(f"{self.home.entity_id}/oauth/token", data=form)

    async def token(self, credential: str, details: list[dict[str, Any]] | None = None) -> str:
        """Return a token for a credential, kept for the tests that follow."""
        more = {} if details is None else {"authorization_details": json.dumps(details)}
        named = credential + json.dumps(details)
        if named not in self.tokens:
            answer = await self.exchange(credential, **more)
            assert answer.status_code == 200, answer.text
            self.tokens[named] = answer.json()["access_token"]
        return self.tokens[named]

    def request(self, credential: str, about: Iterable[str], /, **more: Any) -> Any:
        """Return a query for the public item."""
        usual: dict[str, Any] = {
            "asking_region": self.asking.entity_id,
            "licence_credential": credential,
            "subjects": list(about),
            "items": [PUBLIC_ITEM],
            "mapping_version": "1",
            "purpose": PURPOSE,
            "request_id": uuid4().hex,
            "asking_decision_id": "decisions/there-1",
        }
        return pb.QueryRecordsRequest(**usual | more)

    async def call(
        self, request: pb.QueryRecordsRequest, token: str
    ) -> list[pb.QueryRecordsResponse]:
        """Make the call and return all it is answered."""
        call = FederationServiceStub(self.channel).QueryRecords(
            request, metadata=(("authorization", f"Bearer {token}"),), timeout=20
        )
        return [answer async for answer in call]

    async def query(self, *subjects: str, **more: Any) -> list[pb.QueryRecordsResponse]:
        """Ask for alpha, with a token of its own."""
        credential = self.credential()
        token = await self.token(credential)
        return await self.call(self.request(credential, subjects, **more), token)

    async def refused(self, request: pb.QueryRecordsRequest, token: str) -> Refusal:
        """Return why a call is refused."""
        try:
            await self.call(request, token)
        except grpc.aio.AioRpcError as error:
            return explain(error)
        raise AssertionError("it was answered")

    async def query_refused(self, *subjects: str, **more: Any) -> Refusal:
        """Return why a query for alpha is refused."""
        credential = self.credential()
        token = await self.token(credential)
        return await self.refused(self.request(credential, subjects, **more), token)

    async def published(self, item: str = PUBLIC_ITEM, records: int = 1) -> str:
        """Publish records at home about a new subject, and return that."""
        subject = company(next(_numbers))
        drafts = [draft(f"r-{subject}-{item}-{n}", subject, item) for n in range(records)]
        await publish(await self.channels.of(self.home.gateway, PUBLISHER), drafts)
        return subject

    async def given(self, subject: str, **changed: Any) -> ConsentMessage:
        """Return a consent that ``subject`` gave alpha in the asking region."""
        return await self.counter.given(subject, self.counter.terms(**changed))

    async def under(self, consent: ConsentMessage, **more: Any) -> list[pb.QueryRecordsResponse]:
        """Ask for the closed item of a consent's subject, showing its receipt."""
        return await self.query(consent.subject, **_under(consent) | more)

    async def under_refused(self, consent: ConsentMessage, **more: Any) -> Refusal:
        """Return why a query under a consent is refused."""
        return await self.query_refused(consent.subject, **_under(consent) | more)

    def map_items(self, items: dict[str, str] = ITEMS) -> None:
        """Map the asking region's items at home: item at home to the one there."""
        mapping = ItemMapping(region=self.asking.entity_id, items=items, catalogue_version="1")
        self.home.installation.keep(ITEM_MAPPING, mapping.id, mapping)


def _under(consent: ConsentMessage) -> dict[str, Any]:
    """Return what a query under a consent asks for."""
    return {
        "items": [CONSENT_ITEM],
        "consent_receipt": consent.receipt,
        "proof": ProofKind.PROOF_KIND_INCLUSION,
    }


def records_of(answers: Iterable[pb.QueryRecordsResponse]) -> list[str]:
    """Return the names of the records in answers."""
    return [record.name for answer in answers for record in answer.chunk.records]


@asynccontextmanager
async def open_pair(
    folder: Path, stores: SqliteStores | PostgresStores, **settings: Any
) -> AsyncGenerator[Pair]:
    """Run an anchor and two regions on stores of their own, "one" that asks and "two" that is
    home."""
    with stores.database() as one, stores.database() as two:
        own = {"one": one, "two": two}
        async with (
            federation(folder, "one", "two", stores=own, **settings) as made,
            _paired(*made) as pair,
        ):
            yield pair


@asynccontextmanager
async def _paired(anchor: Anchor, regions: Mapping[str, RegionGateway]) -> AsyncGenerator[Pair]:
    asking, home = regions["one"], regions["two"]
    furnish(asking.installation)
    await eventually(partial(_enrolled, asking, OTHER_CLIENT))
    async with (
        open_counter(asking.gateway) as counter,
        asking.channel_to(home) as channel,
        Channels() as channels,
    ):
        pair = Pair(anchor, asking, home, counter, channel, channels)
        pair.map_items()
        subject = await pair.published()
        await eventually(partial(_answered, pair, subject), 10)
        yield pair


async def _enrolled(region: RegionGateway, client_id: str) -> bool:
    """Tell whether a region's gateway knows a client by now."""
    try:
        async with region.gateway.channel(client_id):
            return True
    except TokenRefused:
        return False


async def _answered(pair: Pair, subject: str) -> bool:
    """Tell whether the home region has heard all it must to answer."""
    try:
        return bool(await pair.query(subject))
    except grpc.aio.AioRpcError:
        return False
    except AssertionError:
        return False
