"""A gateway whose console is visited."""

import re
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import unescape
from typing import Final
from urllib.parse import urljoin
from uuid import uuid4

import httpx

from creditgate.v1 import credit_record_service_pb2 as records_pb
from creditgate.v1 import credit_record_service_pb2_grpc as records_grpc
from creditgate.v1.administrator_service_pb2 import AdministratorRole
from operators.administration_policy import ADMINISTRATION_POLICY, POLICY_ID, AdministrationPolicy
from operators.authority import Authority
from operators.log import Draft
from operators.model import OPERATOR
from tests.installation import (
    OPERATOR_ID,
    PUBLIC_ITEM,
    PUBLISHER,
    PURPOSE,
    Gateway,
    Installation,
    company,
)
from tests.people import AUDIT, LICENSING, SECURITY, SETTINGS, Browser, administer, browser
from tests.server.calls import draft, publish
from tests.subject.world import caught_up

PRICING: Final = AdministratorRole.ADMINISTRATOR_ROLE_PRICING
PEOPLE: Final = {
    "zhang-li": [LICENSING],
    "chen-fang": [PRICING],
    "zhou-an": [SECURITY],
    "wu-ping": [SECURITY],
    "sun-yue": [AUDIT],
}
"""Who administers, by name at the development provider."""

LICENSER, PRICER, SECURER, SECOND, AUDITOR = PEOPLE
NOBODY: Final = "li-ming"
"""Somebody who administers nothing."""


@dataclass
class World:
    """A running gateway, and one browser."""

    gateway: Gateway
    browser: Browser
    provider: str

    @property
    def installation(self) -> Installation:
        """The installation that runs."""
        return self.gateway.installation

    @property
    def authority(self) -> Authority:
        """Authority as it is stored."""
        return Authority.empty().advanced(self.installation.log.since(0))

    def url(self, path: str = "") -> str:
        """Return the address of a page of the console."""
        return f"{self.gateway.running.issuer}/console{path}"

    async def see(self, path: str = "") -> httpx.Response:
        """Visit a page of the console."""
        return await self.browser.go(self.url(path))

    async def sign_in(self, subject: str, path: str = "") -> httpx.Response:
        """Sign in, in a browser in which nobody is, and return the page one came for."""
        return await self.browser.sign_in(await self.see(path), subject)

    async def send(self, page: httpx.Response, part: str, **fields: str) -> httpx.Response:
        """Send the first form of ``page`` whose address holds ``part``."""
        for form in re.findall(r"<form.*?</form>", page.text, re.DOTALL):
            action = unescape(re.findall(r'action="([^"]+)"', form)[0])
            if part in action:
                hidden = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form))
                return await self.browser.go(urljoin(str(page.url), action), **hidden, **fields)
        raise AssertionError(f"no form to {part}: {page.text}")

    async def use(self, records: int) -> None:
        """Have the operator use that many records."""
        async with self.gateway.channel(PUBLISHER) as channel:
            drafts = [draft(f"r-{number}", company(1)) for number in range(records)]
            await publish(channel, drafts)
        request = records_pb.GetSubjectRecordsRequest(
            subject=company(1), purpose=PURPOSE, request_id=str(uuid4()), items=[PUBLIC_ITEM]
        )
        async with self.gateway.channel() as channel:
            await records_grpc.CreditRecordServiceStub(channel).GetSubjectRecords(request)

    def administer(
        self,
        subject: str,
        roles: Iterable[AdministratorRole.ValueType],
        removed_at: int | None = None,
    ) -> None:
        """Change what somebody is here."""
        administer(self.installation, self.provider, subject, roles, removed_at)

    def register(self, operator_id: str, at: int) -> None:
        """Register an operator as of ``at`` (seconds, UTC)."""
        known = self.authority.operators[OPERATOR_ID]
        made = known.model_copy(update={"operator_id": operator_id, "version": 0, "changed_at": 0})
        self.installation.log.append(
            [Draft(OPERATOR, operator_id, 0, made.as_document())],
            changed_by="test",
            changed_at=at,
            reason="test",
        )

    async def guard(self, *, guarded: bool) -> None:
        """Set the administration policy, and wait until the gateway knows."""
        policy = AdministrationPolicy(guarded=guarded)
        self.installation.keep(ADMINISTRATION_POLICY, POLICY_ID, policy)
        await caught_up()

    async def restore(self) -> None:
        """Make everything as it was, and wait until the gateway knows."""
        operator = self.authority.operators[OPERATOR_ID]
        active = operator.model_copy(update={"state": 1, "version": 0, "changed_at": 0})
        self.installation.keep(OPERATOR, OPERATOR_ID, active)
        for subject, roles in PEOPLE.items():
            self.administer(subject, roles)
        await self.guard(guarded=False)


@asynccontextmanager
async def running_world(installation: Installation) -> AsyncGenerator[World]:
    """Run a gateway with people who administer it, and one browser."""
    async with installation.running(**SETTINGS) as gateway, browser(installation) as visitor:
        await visitor.go(f"{gateway.running.issuer}/console/sign-in")
        provider = str(visitor.seen[-1].url.copy_with(path="/", query=None)).rstrip("/")
        visitor.seen.clear()
        world = World(gateway, visitor, provider)
        await world.restore()
        yield world
