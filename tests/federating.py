"""Regions on one machine: an anchor and gateways of their own, each with its own keys and store."""

import json
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import httpx

from creditgate.uscc import check_character
from creditgate.v1.operator_service_pb2 import ClientRole, OperatorState
from gateway.anchor.home import AnchorHome
from gateway.anchor.register import Register
from gateway.anchor.serving import running_anchor
from gateway.clock import Clock, SystemClock
from gateway.federation.trust.entity_key import EntityKey
from gateway.federation.trust.own import OwnRegion
from gateway.federation.trust.statement import (
    REGION_METADATA,
    configuration_url,
    self_signed,
)
from gateway.oauth.connection import bound_socket
from gateway.pki.development import make_ca, make_server_certificate, read_issued
from operators.model import (
    LICENCE,
    OPERATOR,
    SCOPE_GRANT,
    Licence,
    Operator,
    ScopeGrant,
)
from operators.regions import REGION_ADMISSION, REGION_CLASS, RegionAdmission, region_client_id
from operators.roles import scopes_of_role
from tests.installation import PURPOSE, Gateway, Installation, eventually

__all__ = ["Anchor", "RegionGateway", "running_anchor_at", "running_region"]

DISTRICTS = {"one": "000001", "two": "000002", "three": "000003"}
"""Invented districts that regions of tests are home of."""


@dataclass
class Anchor:
    """An anchor that answers at ``entity_id``; its register is changed through ``home``."""

    home: AnchorHome
    entity_id: str
    clock: Clock = field(default_factory=SystemClock)

    def keys_file(self) -> Path:
        """Return a file with the anchor's public keys, as regions are given it."""
        file = self.home.root / "anchor-keys.json"
        file.write_text(json.dumps(self.home.key().jwks))
        return file

    def settings(self) -> dict[str, Any]:
        """Return the settings of a gateway that is a region under this anchor."""
        return {
            "federation_anchor": self.entity_id,
            "federation_anchor_keys": self.keys_file(),
            "federation_anchor_ca": self.home.ca,
        }

    def enrol(self, configuration: str, codes: tuple[str, ...]) -> None:
        """Enrol a region by its entity configuration."""
        now = self.clock.now()
        statement = self_signed(configuration, now)
        roots = statement.metadata[REGION_METADATA]["tls_roots"]
        self._change(
            lambda register: register.enrolled(statement.sub, statement.jwks, roots, codes, now)
        )

    def cut_off(self, entity_id: str) -> None:
        """Cut a region off."""
        self._change(lambda register: register.cut_off(entity_id, "test", self.clock.now()))

    def restore(self, entity_id: str) -> None:
        """Let a region that was cut off stand again."""
        self._change(lambda register: register.restored(entity_id, self.clock.now()))

    def withdraw(self, entity_id: str) -> None:
        """Take a region out of the register."""
        self._change(lambda register: register.withdrawn(entity_id, self.clock.now()))

    def _change(self, change: Callable[[Register], Register]) -> None:
        self.home.change(change, what="test", about="", by="test", why="test", now=self.clock.now())


def made_anchor(folder: Path, port: int, clock: Clock | None = None, life: int = 172_800) -> Anchor:
    """Return an anchor with its keys and an empty register, to answer at ``port``."""
    clock = clock or SystemClock()
    home, now = AnchorHome.at(folder), clock.now()
    entity_id = f"https://127.0.0.1:{port}"
    make_ca("test anchor CA", now).write(home.ca, home.ca_key)
    make_server_certificate(read_issued(home.ca, home.ca_key), now).write(
        home.certificate, home.certificate_key
    )
    register = Register(entity_id=entity_id, life_seconds=life, number=now)
    home.begin(register, by="test", now=now)
    return Anchor(home, entity_id, clock)


@asynccontextmanager
async def running_anchor_at(
    folder: Path, clock: Clock | None = None, life: int = 172_800
) -> AsyncGenerator[Anchor]:
    """Make an anchor in ``folder`` and serve it on this event loop."""
    with bound_socket("127.0.0.1", 0) as held:
        port = held.getsockname()[1]
    anchor = made_anchor(folder, port, clock, life)
    async with running_anchor(anchor.home, "127.0.0.1", port, clock=clock):
        yield anchor


@dataclass(frozen=True)
class RegionGateway:
    """A region whose gateway answers."""

    gateway: Gateway

    @property
    def installation(self) -> Installation:
        """Its installation."""
        return self.gateway.installation

    @property
    def entity_id(self) -> str:
        """Its entity identifier."""
        return self.gateway.running.issuer

    @property
    def client_id(self) -> str:
        """Its client id in other regions."""
        return region_client_id(self.entity_id)

    def http(self) -> httpx.AsyncClient:
        """Return a client that trusts its server."""
        context = ssl.create_default_context(cafile=self.installation.home.ca)
        return httpx.AsyncClient(verify=context, base_url=self.entity_id)

    async def configuration(self) -> str:
        """Return its entity configuration."""
        async with self.http() as http:
            answer = await http.get(configuration_url(self.entity_id))
            answer.raise_for_status()
            return answer.text

    def own(self) -> OwnRegion:
        """Return what it proves itself with."""
        home = self.installation.home
        return OwnRegion(
            entity_id=self.entity_id,
            certificate=home.federation_certificate,
            key=home.federation_certificate_key,
            roots=home.ca.read_text(),
            entity_key=EntityKey.kept_in(home.federation_key),
            assertion_key=EntityKey.kept_in(home.federation_assertion_key),
            clock=self.installation.clock,
        )

    def admit(self, peer: "RegionGateway", operator_id: str, **licence: Any) -> None:
        """Admit ``peer`` here as a new operator with a licence and all scopes of regions."""
        admitted(self.installation, peer.entity_id, operator_id, **licence)

    async def knows(self, peer: "RegionGateway") -> bool:
        """Tell whether this installation has verified the chain of ``peer``."""
        changes = self.installation.log.history(kind="region", id=peer.client_id, after=0, limit=10)
        return bool(changes)

    async def may_ask(self, home: "RegionGateway") -> bool:
        """Tell whether ``home`` takes this region for one that stands and is admitted."""
        if self is home:
            return True
        try:
            return (await self.token_answer(home)).is_success
        except httpx.HTTPError:
            # Its certificate's authority is not known there yet.
            return False

    async def token_at(self, home: "RegionGateway", scope: str = "") -> str:
        """Return an access token of ``home`` for this region itself."""
        answer = await self.token_answer(home, scope)
        assert answer.is_success, answer.text
        token: str = answer.json()["access_token"]
        return token

    async def token_answer(self, home: "RegionGateway", scope: str = "") -> httpx.Response:
        """Ask ``home`` for a token for this region itself."""
        own = self.own()
        form = {
            "grant_type": "client_credentials",
            "client_id": own.client_id,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": own.assertion(home.entity_id),
            **({"scope": scope} if scope else {}),
        }
        context = ssl.create_default_context(cafile=home.installation.home.ca)
        context.load_cert_chain(own.certificate, own.key)
        async with httpx.AsyncClient(verify=context) as http:
            return await http.post(f"{home.entity_id}/oauth/token", data=form)

    def channel_to(self, home: "RegionGateway") -> grpc.aio.Channel:
        """Return a channel to ``home`` that shows this region's certificate."""
        own = self.own()
        credentials = grpc.ssl_channel_credentials(
            home.installation.home.ca.read_bytes(),
            own.key.read_bytes(),
            own.certificate.read_bytes(),
        )
        return grpc.aio.secure_channel(
            home.gateway.running.grpc,
            credentials,
            options=[("grpc.use_local_subchannel_pool", 1)],
        )


def admitted(
    installation: Installation,
    entity_id: str,
    operator_id: str,
    *,
    items: tuple[str, ...] = ("penalty", "tax"),
    purposes: tuple[int, ...] = (PURPOSE,),
    regions: tuple[str, ...] = ("*",),
    quota: int = 1_000_000,
) -> None:
    """Admit the region ``entity_id`` at ``installation``, with licence and grants."""
    now = installation.clock.now()
    stem = "91000000" + f"{sum(operator_id.encode()):09d}"
    operator = Operator(
        operator_id=operator_id,
        display_name=f"Invented region {operator_id}",
        uscc=stem + check_character(stem),
        state=OperatorState.OPERATOR_STATE_ACTIVE,
        operator_class=REGION_CLASS,
    )
    licence = Licence(
        number=f"R-{operator_id}",
        operator_id=operator_id,
        valid_from=now - 1,
        valid_until=now + 365 * 86_400,
        items=frozenset(items),
        purposes=frozenset(purposes),
        regions=frozenset(regions),
        daily_record_quota=quota,
    )
    grants = [
        ScopeGrant(
            grant_id=f"{operator_id}-{number}", grantee=operator_id, scope=scope, valid_from=now - 1
        )
        for number, scope in enumerate(sorted(scopes_of_role(ClientRole.CLIENT_ROLE_REGION)))
    ]
    client_id = region_client_id(entity_id)
    admission = RegionAdmission(
        client_id=client_id, entity_id=entity_id, operator_id=operator_id, admitted_at=now
    )
    installation.enter(
        [
            (OPERATOR, operator_id, operator),
            (LICENCE, licence.number, licence),
            *((SCOPE_GRANT, grant.grant_id, grant) for grant in grants),
            (REGION_ADMISSION, client_id, admission),
        ]
    )


@asynccontextmanager
async def running_region(
    installation: Installation, anchor: Anchor, codes: tuple[str, ...], **settings: Any
) -> AsyncGenerator[RegionGateway]:
    """Run an installation on this event loop and enrol it as a region."""
    async with installation.running(**settings) as gateway:
        region = RegionGateway(gateway)
        anchor.enrol(await region.configuration(), codes)
        yield region


@asynccontextmanager
async def federation(
    folder: Path,
    *names: str,
    database: str = "sqlite",
    stores: Mapping[str, tuple[str, Path]] | None = None,
    clock: Clock | None = None,
    **settings: Any,
) -> AsyncGenerator[tuple[Anchor, Mapping[str, RegionGateway]]]:
    """Run an anchor and the regions named, of `DISTRICTS`, each admitted by each other as the
    operator "region-" and its name, until all know one another.

    ``stores`` gives regions stores of their own (database setting, home folder); ``clock`` is
    everybody's.
    """
    async with AsyncExitStack() as stack:
        anchor = await stack.enter_async_context(running_anchor_at(folder / "anchor", clock))
        regions: dict[str, RegionGateway] = {}
        for name in names:
            store = (stores or {}).get(name, (database, folder / name))
            installation = Installation(
                *store, clock=clock or SystemClock(), settings=anchor.settings()
            )
            stack.callback(installation.close)
            installation.furnish()
            regions[name] = await stack.enter_async_context(
                running_region(installation, anchor, (DISTRICTS[name],), **settings)
            )
        for name, region in regions.items():
            for other, peer in regions.items():
                if other != name:
                    region.admit(peer, f"region-{other}")
        for region in regions.values():
            for peer in regions.values():
                await eventually(partial(peer.may_ask, region), 10)
        yield anchor, regions
