"""The ground attacks are tried on: a gateway that answers, and parties that call it."""

import secrets
import ssl
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

import grpc
import httpx

from creditgate.v1 import credit_record_service_pb2 as records_pb
from gateway.oauth.rfc9449 import token_hash
from gateway.pki.development import Issued
from operators.model import TOKEN_EXCHANGE
from sdk.refusals import explain
from tests.attacks.inside import Inside
from tests.installation import OPERATOR_ID, PURPOSE, Gateway, Installation, company, eventually
from tests.parties import (
    MACHINE,
    REDIRECT,
    WITH_CODE,
    Key,
    Party,
    enrolled,
    grant_all,
    jws,
    new_key,
)

READ: Final = "credit.records:read"
GET: Final = "/creditgate.v1.CreditRecordService/GetSubjectRecords"
SERVED: Final = "served"
RIVAL: Final = "beta"
WEB: Final = "https://portal.example/callback"
"""Where browsers go back to that are no program's on the same machine."""
EVERY: Final = (*MACHINE, *WITH_CODE, TOKEN_EXCHANGE)


@dataclass
class Prover:
    """A key that proofs are made of (RFC 9449), and the last nonce the server gave."""

    key: Key = field(default_factory=lambda: new_key("ES256"))
    nonce: str | None = None

    def proof(self, uri: str, token: str | None = None, **changed: Any) -> str:
        """Return a proof for a POST to ``uri``; ``changed`` replaces claims, None removes."""
        claims = {
            "jti": secrets.token_urlsafe(12),
            "htm": "POST",
            "htu": uri,
            "iat": int(time.time()),
            "nonce": self.nonce,
            "ath": None if token is None else token_hash(token),
            **changed,
        }
        kept = {name: value for name, value in claims.items() if value is not None}
        header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": self.key.as_dict(private=False)}
        return jws(header, kept, self.key)


@dataclass(frozen=True)
class Cast:
    """The parties: each may use every grant.

    ``victim`` and ``thief`` have tokens bound to their certificates; ``keyed`` and
    ``keyed_thief`` bound to keys, behind one proxy; all of operator alpha. ``rival``
    is as the victim, of operator beta.
    """

    victim: Party
    thief: Party
    keyed: Party
    keyed_thief: Party
    rival: Party

    @classmethod
    def enrolled_in(cls, installation: Installation) -> "Cast":
        """Enrol them."""
        installation.license(RIVAL, "L-BETA")
        grant_all(installation, RIVAL)

        def plain(name: str, operator_id: str = OPERATOR_ID) -> Party:
            return enrolled(
                installation,
                name,
                grant_types=EVERY,
                redirect_uris=(REDIRECT, WEB),
                operator_id=operator_id,
            )

        def keyed(name: str) -> Party:
            return enrolled(
                installation, name, grant_types=EVERY, binding="dpop", behind_proxy=True
            )

        return cls(
            plain("victim"),
            plain("thief"),
            keyed("keyed"),
            keyed("keyed-thief"),
            plain("rival", RIVAL),
        )


@dataclass
class Ground:
    """A running gateway; connections are opened once for each certificate."""

    gateway: Gateway
    cast: Cast
    inside: Inside
    stack: AsyncExitStack
    _https: dict[str, httpx.AsyncClient] = field(default_factory=dict)
    _grpc: dict[str, grpc.aio.Channel] = field(default_factory=dict)

    @property
    def issuer(self) -> str:
        """The issuer, an https URL."""
        return self.gateway.running.issuer

    @property
    def method_url(self) -> str:
        """The URL that proofs of a query name."""
        return f"https://{self.gateway.running.grpc}{GET}"

    def now(self) -> int:
        """Return the gateway's time."""
        return self.gateway.installation.clock.now()

    async def https(self, certificate: Issued | None) -> httpx.AsyncClient:
        """Return connections that show ``certificate``."""
        name = "" if certificate is None else certificate.thumbprint
        if name not in self._https:
            trust = ssl.create_default_context(cafile=self.gateway.installation.home.ca)
            if certificate is not None:
                place = self.gateway.installation.folder / "shown" / name
                certificate.write(place / "certificate.pem", place / "key.pem")
                trust.load_cert_chain(place / "certificate.pem", place / "key.pem")
            client = httpx.AsyncClient(base_url=self.issuer, verify=trust, follow_redirects=False)
            self._https[name] = await self.stack.enter_async_context(client)
        return self._https[name]

    async def channel(self, certificate: Issued) -> grpc.aio.Channel:
        """Return a channel that shows ``certificate`` and adds nothing to calls."""
        name = certificate.thumbprint
        if name not in self._grpc:
            tls = grpc.ssl_channel_credentials(
                self.gateway.installation.home.ca.read_bytes(),
                certificate.key,
                certificate.certificate,
            )
            channel = grpc.aio.secure_channel(self.gateway.running.grpc, tls)
            self._grpc[name] = await self.stack.enter_async_context(channel)
        return self._grpc[name]

    async def post(
        self,
        path: str,
        form: Mapping[str, str],
        party: Party | None = None,
        *,
        prover: Prover | None = None,
    ) -> httpx.Response:
        """Post ``form`` as ``party``, authenticated unless ``form`` says how it is.

        With ``prover`` the request has a proof, made anew once when the server asks for
        its nonce.
        """
        client = await self.https(None if party is None else party.certificate)
        answer = await self._sent(client, path, form, party, prover)
        asked_anew = prover is not None and error_of(answer) == "use_dpop_nonce"
        return await self._sent(client, path, form, party, prover) if asked_anew else answer

    async def _sent(
        self,
        client: httpx.AsyncClient,
        path: str,
        form: Mapping[str, str],
        party: Party | None,
        prover: Prover | None,
    ) -> httpx.Response:
        stated = {"client_id", "client_assertion"} & form.keys()
        own = {} if party is None or stated else party.authentication(self.issuer, self.now())
        headers = {} if prover is None else {"DPoP": prover.proof(f"{self.issuer}{path}")}
        answer = await client.post(path, data={**own, **form}, headers=headers)
        if prover is not None:
            prover.nonce = answer.headers.get("dpop-nonce", prover.nonce)
        return answer

    async def token(self, party: Party, scope: str = READ, *, prover: Prover | None = None) -> str:
        """Return an access token of ``party`` by client credentials."""
        form = {"grant_type": "client_credentials", "scope": scope}
        answer = await self.post("/oauth/token", form, party, prover=prover)
        assert answer.status_code == 200, answer.text
        return answer.json()["access_token"]

    async def call(self, certificate: Issued, *metadata: tuple[str, str]) -> str:
        """Make a query with metadata as they are; return `SERVED` or why it is refused."""
        channel = await self.channel(certificate)
        question = records_pb.GetSubjectRecordsRequest(
            subject=company(1), purpose=PURPOSE, request_id=str(uuid4())
        )
        call = channel.unary_unary(GET)(question.SerializeToString(), metadata=metadata, timeout=10)
        try:
            await call
        except grpc.aio.AioRpcError as error:
            return explain(error).reason or error.code().name
        return SERVED

    async def query(self, party: Party, token: str) -> str:
        """As `call`, with a token bound to the certificate of ``party``."""
        return await self.call(party.certificate, ("authorization", f"Bearer {token}"))

    async def prove(self, party: Party, token: str, prover: Prover, **changed: Any) -> str:
        """As `call`, with a token bound to the key of ``prover`` and a proof."""
        if prover.nonce is None:
            await self.token(party, prover=prover)
        proof = prover.proof(self.method_url, token, **changed)
        return await self.call(
            party.certificate, ("authorization", f"DPoP {token}"), ("dpop", proof)
        )


def error_of(answer: httpx.Response) -> str:
    """Return the OAuth error code of an answer, "" for a success."""
    return "" if answer.is_success else str(answer.json()["error"])


@asynccontextmanager
async def standing_on(
    gateway: Gateway, cast: Cast, inside: Inside | None = None
) -> AsyncGenerator[Ground]:
    """Give the ground of a gateway, its connections closed at the end."""
    async with AsyncExitStack() as stack:
        yield Ground(gateway, cast, inside or Inside(), stack)


async def awake(gateway: Gateway) -> None:
    """Wait until a gateway sees authority: its loop may have stood still between tests."""
    trust = ssl.create_default_context(cafile=gateway.installation.home.ca)
    async with httpx.AsyncClient(base_url=gateway.running.issuer, verify=trust) as client:

        async def healthy() -> bool:
            return (await client.get("/healthz")).status_code == 200

        await eventually(healthy)
