"""What the tests of the pages play with."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from creditgate.v1.administrator_service_pb2 import AdministratorRole
from operators.administrators import ADMINISTRATOR, Administrator
from tests.installation import Gateway, Installation
from tests.parties import REDIRECT, Party, enrolled
from tests.people import (
    LICENSING,
    SETTINGS,
    Asking,
    Browser,
    administer,
    ask,
    browser,
    console,
    provider_of,
)

PERSON = "zhang-li"
SCOPES = "operators:create licences:issue"


@dataclass
class World:
    """A running gateway, its console, its provider and one browser."""

    gateway: Gateway
    party: Party
    issuer: str
    browser: Browser

    @property
    def installation(self) -> Installation:
        """The installation that runs."""
        return self.gateway.installation

    async def administer(
        self,
        subject: str = PERSON,
        roles: Iterable[AdministratorRole.ValueType] = (LICENSING,),
        removed_at: int | None = None,
    ) -> Administrator:
        """Make somebody an administrator, and wait until the gateway knows."""
        person = administer(self.installation, self.issuer, subject, roles, removed_at)
        await self.caught_up()
        return person

    async def put_back(self, before: int) -> None:
        """Take back what changed of administrators since the log's number ``before``."""
        changes = self.installation.log.since(before)
        changed = {each.id: each.document for each in changes if each.kind == ADMINISTRATOR}
        now = self.installation.clock.now()
        for other in changed.keys() - {PERSON}:
            gone = {**changed[other], "removed_at": now}
            self.installation.put(ADMINISTRATOR, other, gone)
        if changed:
            await self.administer()

    async def caught_up(self) -> None:
        """Wait until the gateway knows all that was logged."""
        # It looks every 10 ms, in this process.
        await asyncio.sleep(0.1)

    async def ask(self, scope: str = SCOPES, party: Party | None = None, **more: str) -> Asking:
        """Push a request of the console's."""
        return await ask(self.gateway, party or self.party, scope, **more)

    async def approval_page(
        self, asking: Asking, subject: str = PERSON, visitor: Browser | None = None
    ) -> httpx.Response:
        """Return the page after signing in."""
        used = visitor or self.browser
        return await used.sign_in(await used.go(asking.url), subject)

    async def operator_party(self) -> Party:
        """Enrol a client of operator alpha for the code flow."""
        client_id = f"alpha-{secrets.token_hex(8)}"
        grant_types = ("authorization_code", "refresh_token")
        party = enrolled(self.installation, client_id, grant_types=grant_types)
        await self.caught_up()
        return party


@asynccontextmanager
async def running_world(installation: Installation, *redirect_uris: str) -> AsyncGenerator[World]:
    """Run the gateway with one administrator in the role licensing.

    ``redirect_uris`` are registered for the console beside the usual one.
    """
    party = console(installation, redirect_uris=(REDIRECT, *redirect_uris))
    async with installation.running(**SETTINGS) as gateway, browser(installation) as visitor:
        world = World(gateway, party, await provider_of(gateway, party), visitor)
        await world.administer()
        yield world
