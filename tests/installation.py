"""A real installation on an empty store: licensed operators, a publisher, prices, a catalogue."""

import asyncio
import json
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from pydantic import SecretStr

from creditgate.rating.prices import PRICE_PLAN, PricePlan
from creditgate.uscc import check_character
from creditgate.v1.catalogue_service_pb2 import ContentFieldType
from creditgate.v1.operator_service_pb2 import ClientRole, OperatorState
from creditgate.v1.vocabulary_pb2 import Openness, Purpose, Severity, SubjectType
from gateway.catalogue.model import CATALOGUE_ITEM, CatalogueItem, ContentField, PeriodRule
from gateway.clock import Clock, SystemClock
from gateway.config import GatewayConfig
from gateway.installation.bootstrap import bootstrap
from gateway.pki.client_keys import make_assertion_key
from gateway.pki.development import make_client_certificate
from gateway.server.process import Running, running_gateway
from gateway.settle.shares import SHARING_RULE, SharingRule
from gateway.storage.engines import Engines, open_engines
from operators.kept import Kept
from operators.log import Draft
from operators.model import (
    CLIENT,
    LICENCE,
    OPERATOR,
    SCOPE_GRANT,
    Client,
    Licence,
    Operator,
    ScopeGrant,
)
from operators.roles import scopes_of_role
from operators.sql import SqlAuthorityLog
from sdk.connection import connect
from sdk.credentials import Credentials
from sdk.tokens import TokenRefused
from tests.forking import Forked, nursery
from tests.stores import PostgresStores, SqliteStores, place_migrated

PUBLIC_ITEM = "penalty"
CONSENT_ITEM = "tax"
RESTRICTED_ITEM = "supervision"
SOURCE = "Invented Bureau"
REGION = "000000"
PRICE = 250_000
PURPOSE = Purpose.PURPOSE_SUPPLIER_CHECK
OPERATOR_ID = "alpha"
OPERATOR_CLIENT = "alpha-one"
PUBLISHER = "publisher"
ADMINISTRATOR = "administrator"
_PASSING = frozenset({"temporarily_unavailable", "invalid_client"})
_PATIENCE = 20
_PAUSE_SECONDS = 0.2

Thing = tuple[str, str, Kept]
"""What authority is to hold: its kind, its id, and it."""


def company(number: int) -> str:
    """Return the code of an invented company, in the unassigned district 000000."""
    stem = f"91000000{number:09d}"
    return stem + check_character(stem)


def content(text: str = "late filing") -> bytes:
    """Return content of a record in canonical form."""
    return json.dumps({"finding": text}, separators=(",", ":")).encode()


def item(code: str, openness: Openness.ValueType) -> CatalogueItem:
    """Return a catalogue item with graded periods."""
    return CatalogueItem(
        code=code,
        name_zh="测试目录项",
        name_en=f"Test item {code}",
        sources=(SOURCE,),
        subject_types=(SubjectType.SUBJECT_TYPE_ENTERPRISE,),
        openness=openness,
        period_rules=(
            PeriodRule(
                severity=Severity.SEVERITY_GENERAL,
                min_months=3,
                max_months=12,
                end_required=True,
                legal_source="Guobanfa [2025] No. 22, section 2",
            ),
            PeriodRule(
                severity=Severity.SEVERITY_SERIOUS,
                min_months=12,
                max_months=36,
                end_required=True,
                legal_source="Guobanfa [2025] No. 22, section 2",
            ),
        ),
        price_class="adverse",
        content_fields=(
            ContentField(
                name="finding",
                type=ContentFieldType.CONTENT_FIELD_TYPE_STRING,
                required=True,
                max_length=2_000,
            ),
        ),
    )


@dataclass
class Installation:
    """One installation; its store is ready, nothing runs yet."""

    database: str
    folder: Path
    clock: Clock = field(default_factory=SystemClock)
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.config = GatewayConfig(
            home=self.folder,
            database=SecretStr(self.database),
            grpc_port=0,
            https_port=0,
            **self.settings,
        )
        if self.database == "sqlite" and not any(self.folder.glob("*.db")):
            place_migrated(self.folder)
        self.home = bootstrap(self.config, self.clock)
        self.engines: Engines = open_engines(self.database, self.folder)
        self.log = SqlAuthorityLog(self.engines.authority)

    def close(self) -> None:
        """Close the store."""
        self.engines.dispose()

    def put(self, kind: str, id_: str, document: dict[str, object]) -> None:
        """Log the next version of a thing."""
        version = len(self.log.history(kind=kind, id=id_, after=0, limit=1_000))
        self._append([Draft(kind, id_, version, document)])

    def _append(self, drafts: Iterable[Draft]) -> None:
        self.log.append(
            tuple(drafts),
            changed_by=ADMINISTRATOR,
            changed_at=self.clock.now(),
            reason="test",
        )

    def keep(self, kind: str, id_: str, thing: Kept) -> None:
        """Log the next version of a checked thing."""
        self.put(kind, id_, thing.as_document())

    def enter(self, things: Iterable[Thing]) -> None:
        """Log the first version of checked things, all at once."""
        self._append(Draft(kind, id_, 0, thing.as_document()) for kind, id_, thing in things)

    def furnish(self) -> None:
        """Put in everything a query needs: catalogue, prices, operator alpha, publisher."""
        now = self.clock.now()
        items = [
            item(PUBLIC_ITEM, Openness.OPENNESS_PUBLIC),
            item(CONSENT_ITEM, Openness.OPENNESS_CONSENT),
            item(RESTRICTED_ITEM, Openness.OPENNESS_RESTRICTED),
        ]
        plan = PricePlan(plan_id="plan-1", effective_from=now - 1, prices={"adverse": PRICE})
        rule = SharingRule(
            rule_id="rule-1",
            effective_from=0,
            source_basis_points=6_000,
            region_basis_points=2_500,
            platform_basis_points=1_500,
        )
        self._append(
            [
                *(Draft(CATALOGUE_ITEM, kept.code, 0, kept.as_document()) for kept in items),
                Draft(PRICE_PLAN, plan.plan_id, 0, plan.model_dump()),
                Draft(SHARING_RULE, rule.rule_id, 0, rule.model_dump()),
                *(
                    Draft(kind, id_, 0, kept.as_document())
                    for kind, id_, kept in (
                        *self._licensed(OPERATOR_ID, "L-ALPHA"),
                        *self._enrolled(
                            OPERATOR_CLIENT, ClientRole.CLIENT_ROLE_OPERATOR, OPERATOR_ID
                        ),
                        *self._enrolled(PUBLISHER, ClientRole.CLIENT_ROLE_PUBLISHER),
                    )
                ),
            ]
        )

    def license(self, operator_id: str, number: str, **terms: Any) -> None:
        """Register an operator and give it a licence for a year, of the ``terms`` of
        `_licensed`."""
        for kind, id_, kept in self._licensed(operator_id, number, **terms):
            self.keep(kind, id_, kept)

    def _licensed(
        self,
        operator_id: str,
        number: str,
        items: Iterable[str] = (PUBLIC_ITEM, CONSENT_ITEM, RESTRICTED_ITEM),
        purposes: Iterable[int] = (PURPOSE,),
        quota: int = 1_000_000,
        regions: Iterable[str] = ("*",),
    ) -> list[Thing]:
        stem = "91000000" + f"{sum(operator_id.encode()):09d}"
        operator = Operator(
            operator_id=operator_id,
            display_name=f"Invented firm {operator_id}",
            uscc=stem + check_character(stem),
            state=OperatorState.OPERATOR_STATE_ACTIVE,
        )
        now = self.clock.now()
        licence = Licence(
            number=number,
            operator_id=operator_id,
            valid_from=now - 1,
            valid_until=now + 365 * 86_400,
            items=frozenset(items),
            purposes=frozenset(purposes),
            regions=frozenset(regions),
            daily_record_quota=quota,
        )
        return [(OPERATOR, operator_id, operator), (LICENCE, number, licence)]

    def enrol(self, client_id: str, role: ClientRole.ValueType, operator_id: str = "") -> None:
        """Register a client with keys of its own and grant all scopes of its role."""
        client, *grants = self._enrolled(client_id, role, operator_id)
        self.keep(*client)
        self.enter(grants)

    def _enrolled(
        self, client_id: str, role: ClientRole.ValueType, operator_id: str = ""
    ) -> list[Thing]:
        now = self.clock.now()
        certificate = make_client_certificate(self.home.development_ca(), client_id, now)
        assertion_key = make_assertion_key()
        self.home.write_client(client_id, certificate, assertion_key.key)
        client = Client(
            client_id=client_id,
            role=role,
            operator_id=operator_id,
            jwks=assertion_key.jwks,
            certificate_thumbprints=frozenset({certificate.thumbprint}),
        )
        grants = [
            ScopeGrant(
                grant_id=f"{client_id}-{number}",
                grantee=client.grantee,
                scope=scope,
                valid_from=now - 1,
            )
            for number, scope in enumerate(sorted(scopes_of_role(role)))
        ]
        return [
            (CLIENT, client_id, client),
            *((SCOPE_GRANT, grant.grant_id, grant) for grant in grants),
        ]

    def suspend(self, operator_id: str = OPERATOR_ID) -> None:
        """Suspend an operator."""
        document = self.log.history(kind=OPERATOR, id=operator_id, after=0, limit=1_000)[-1]
        suspended = OperatorState.OPERATOR_STATE_SUSPENDED
        self.put(OPERATOR, operator_id, {**document.document, "state": suspended})

    @asynccontextmanager
    async def running(self, **settings: Any) -> AsyncGenerator["Gateway"]:
        """Run it in this process, on this event loop."""
        config = self.config.model_copy(update=settings)
        async with running_gateway(config, self.clock) as running:
            yield self.addressed(running)

    @asynccontextmanager
    async def process(self, **settings: Any) -> AsyncGenerator["GatewayProcess"]:
        """Run it as a process of its own, killed in the end."""
        told = settings_line(self.config.model_copy(update=settings))
        process, line = await nursery().worker(told)
        try:
            yield GatewayProcess(self.addressed(place_in(line)), process)
        finally:
            process.kill()
            await process.wait()

    @asynccontextmanager
    async def program(
        self, *, files: int | None = None, **settings: Any
    ) -> AsyncGenerator["GatewayProgram"]:
        """Run it as the supervisor does, by a command: slower by a second. It may have ``files``
        open, as many as this process where nothing is said."""
        limited = () if files is None else ("sh", "-c", f'ulimit -n {files} && exec "$@"', "sh")
        program = await asyncio.create_subprocess_exec(
            *limited, sys.executable, "-m", "gateway.server.worker", stdin=PIPE, stdout=PIPE
        )
        assert program.stdin is not None
        assert program.stdout is not None
        program.stdin.write(settings_line(self.config.model_copy(update=settings)))
        try:
            line = await asyncio.wait_for(program.stdout.readline(), 30)
            yield GatewayProgram(self.addressed(place_in(line)), program)
        finally:
            if program.returncode is None:
                program.kill()
            await program.wait()

    def addressed(self, running: Running) -> "Gateway":
        """Point the clients' profiles at a running gateway."""
        self.home.point_profiles_at(running.grpc, running.issuer, self.home.ca)
        return Gateway(self, running)


@dataclass(frozen=True)
class Gateway:
    """A gateway that answers."""

    installation: Installation
    running: Running

    def credentials(self, client_id: str = OPERATOR_CLIENT) -> Credentials:
        """Return a client's credentials for this gateway, among others on the same home."""
        profile = Credentials.load(self.installation.home.profile(client_id))
        return profile.model_copy(update={"grpc": self.running.grpc, "issuer": self.running.issuer})

    @asynccontextmanager
    async def channel(
        self, client_id: str = OPERATOR_CLIENT, *, scopes: tuple[str, ...] = ()
    ) -> AsyncGenerator[grpc.aio.Channel]:
        """Give a channel of a client's own, with a token."""
        async with await self._connected(client_id, scopes) as channel:
            yield channel

    async def _connected(self, client_id: str, scopes: tuple[str, ...]) -> grpc.aio.Channel:
        """Connect; a gateway may not have heard of a new client yet, and on a machine that is busy
        its lease of authority may lapse before."""
        for _ in range(_PATIENCE):
            try:
                return await connect(self.credentials(client_id), scopes=scopes)
            except TokenRefused as refused:
                if refused.error not in _PASSING:
                    raise
                await asyncio.sleep(_PAUSE_SECONDS)
        return await connect(self.credentials(client_id), scopes=scopes)


@dataclass(frozen=True)
class GatewayProcess:
    """A gateway in a process of its own."""

    gateway: Gateway
    process: Forked


@dataclass(frozen=True)
class GatewayProgram:
    """A gateway started by its command."""

    gateway: Gateway
    process: Process


def settings_line(config: GatewayConfig) -> bytes:
    """Return what a worker is told, its settings in one line."""
    settings = config.model_dump(mode="json") | {"database": config.database.get_secret_value()}
    return json.dumps(settings).encode() + b"\n"


def place_in(line: bytes) -> Running:
    """Return where a worker says that it answers."""
    assert line, "the gateway did not start; its log says why"
    place = json.loads(line)
    return Running(place["grpc"], place["issuer"], Path(place["ca"]))


@contextmanager
def furnished(stores: SqliteStores | PostgresStores, **settings: Any) -> Generator[Installation]:
    """Give a furnished installation on an empty store of its own."""
    with stores.database() as store:
        installation = Installation(*store, settings=settings)
        installation.furnish()
        yield installation
        installation.close()


async def eventually(condition: Any, seconds: float = 20) -> float:
    """Wait until ``await condition()`` is true and return how long it took, by a tenth at most
    too much: to ask all the time would take what is waited for its own time."""
    started = time.monotonic()
    while not await condition():
        waited = time.monotonic() - started
        assert waited < seconds, "it did not come true in time"
        await asyncio.sleep(max(0.01, waited / 10))
    return time.monotonic() - started
