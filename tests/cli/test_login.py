"""``creditgate login``: commands act for a person, through a browser's sign-in."""

import asyncio
import json
import os
import re
import stat
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from gateway.cli.calls import SIGNED_IN
from gateway.demo.ports import free_port
from operators.administration_policy import (
    ADMINISTRATION_POLICY,
    POLICY_ID,
    AdministrationPolicy,
)
from tests.cli import forked_command
from tests.cli.commands import creditgate_here, ending, environment
from tests.forking import COMMAND, nursery
from tests.installation import Installation, eventually, furnished
from tests.interaction.world import PERSON, World, running_world
from tests.people import SECURITY, Browser, browser, write_profile
from tests.stores import SqliteStores

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Desk:
    """Somebody at a command line, with a browser beside it."""

    world: World
    profile: Path
    redirect_uri: str

    @property
    def home(self) -> Path:
        """The installation's home."""
        return self.world.installation.folder

    async def run(self, *arguments: str) -> tuple[int, Any]:
        """Run a command and return (exit status, its JSON document)."""
        whole = (*arguments, "--profile", self.profile, "--json")
        # In a thread: the gateway answers on this one's event loop.
        done = await asyncio.to_thread(creditgate_here, self.home, *whole)
        return done.status, done.json

    async def login(self, subject: str = PERSON, *more: str, **how: Any) -> tuple[int, Any]:
        """Run login, sign in and decide in the browser, and return as `run`."""
        words = ("login", "--no-browser", "--redirect-uri", self.redirect_uri)
        words = (*words, "--profile", str(self.profile), "--json", *more)
        asked = forked_command.told(words, environment(self.home))
        heard, errors = os.pipe()
        process = await asyncio.to_thread(nursery().begun, asked, COMMAND, errors)
        os.close(errors)
        with os.fdopen(heard) as told:

            async def line() -> str:
                return await asyncio.wait_for(asyncio.to_thread(told.readline), 30)

            said = [await line(), await line()]
            url = re.search(r"https://\S+", said[-1])
            assert url is not None, "".join(said)
            async with browser(self.world.installation) as visitor:
                visitor.redirect_uri = self.redirect_uri
                await self.visit(visitor, url[0], subject, **how)
            status, document = ending(await process.wait())
        return status, json.loads(document)

    async def visit(
        self,
        visitor: Browser,
        url: str,
        subject: str,
        *,
        decision: str = "approve",
        state: str = "",
    ) -> None:
        """Do in the browser what is asked there, and follow it back to the command."""
        page = await visitor.sign_in(await visitor.go(url), subject)
        done = await visitor.submit(page, decision=decision)
        back = httpx.URL(done.headers["location"])
        async with httpx.AsyncClient() as http:
            if state:
                strange = await http.get(back.copy_set_param("state", state))
                assert strange.status_code == 404
                elsewhere = await http.get(back.copy_with(path="/favicon.ico", query=None))
                assert elsewhere.status_code == 404
            taken = await http.get(back)
        assert taken.status_code == 200
        assert "frame-ancestors 'none'" in taken.headers["content-security-policy"]

    def kept(self) -> dict[str, Any]:
        """Return what is kept beside the profile."""
        return json.loads(self.profile.with_name(SIGNED_IN).read_bytes())

    def keep(self, **changed: Any) -> None:
        """Change what is kept beside the profile."""
        self.profile.with_name(SIGNED_IN).write_text(json.dumps({**self.kept(), **changed}))


@asynccontextmanager
async def desk_at(installation: Installation) -> AsyncGenerator[Desk]:
    """Give a command line whose client may use the code flow."""
    redirect_uri = f"http://127.0.0.1:{free_port()}/signed-in"
    async with running_world(installation, redirect_uri) as world:
        yield Desk(world, write_profile(world.gateway, world.party), redirect_uri)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing(sqlite_stores: SqliteStores) -> AsyncIterator[Desk]:
    """A command line for the tests that change nobody's powers."""
    with furnished(sqlite_stores) as installation:
        async with desk_at(installation) as desk:
            yield desk


@pytest.fixture
def desk(standing: Desk) -> Desk:
    """A command line at which nobody is signed in."""
    standing.profile.with_name(SIGNED_IN).unlink(missing_ok=True)
    return standing


@pytest_asyncio.fixture(loop_scope="module")
async def own_desk(embedded: Installation) -> AsyncIterator[Desk]:
    """A command line at a gateway of the test's own."""
    async with desk_at(embedded) as desk:
        yield desk


OPERATOR = ("operator", "create", "beta", "--name", "Beta", "--uscc", "91000000DEM0000019")
WHY = ("--reason", "a test")


async def test_a_person_signs_in_and_commands_act_for_them(desk: Desk) -> None:
    status, document = await desk.login()
    assert (status, document["renewable"]) == (0, True)
    mode = desk.profile.with_name(SIGNED_IN).stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    status, _ = await desk.run(*OPERATOR, *WHY)
    assert status == 0
    log = desk.world.installation.log
    (change,) = log.history(kind="operator", id="beta", after=0, limit=9)
    assert change.changed_by == f"administrator:{PERSON}"
    # What their roles do not have, commands have not either.
    status, document = await desk.run("price", "list")
    assert (status, document["error"]["reason"]) == (2, "SCOPE_NOT_GRANTED")


async def test_only_what_is_asked_for_is_in_the_token(desk: Desk) -> None:
    await desk.login(PERSON, "--scope", "operators:read")
    assert (await desk.run("operator", "list"))[0] == 0
    status, document = await desk.run(*OPERATOR, *WHY)
    assert (status, document["error"]["reason"]) == (2, "SCOPE_NOT_GRANTED")


async def test_a_denial_signs_nobody_in(desk: Desk) -> None:
    status, document = await desk.login(decision="deny")
    assert (status, document["error"]["reason"]) == (2, "access_denied")
    assert not desk.profile.with_name(SIGNED_IN).exists()


async def test_a_client_without_the_grant_type_is_told_how_to_register_one(own_desk: Desk) -> None:
    installation = own_desk.world.installation
    client_id = own_desk.world.party.client_id
    *_, last = installation.log.history(kind="client", id=client_id, after=0, limit=9)
    assert last.document is not None
    machine = {**last.document, "grant_types": ["client_credentials"], "redirect_uris": []}
    installation.put("client", client_id, machine)
    await own_desk.world.caught_up()
    status, document = await own_desk.run(
        "login", "--no-browser", "--redirect-uri", own_desk.redirect_uri
    )
    assert (status, document["error"]["reason"]) == (2, "unauthorized_client")
    step = f"--grant-type authorization_code --redirect-uri {own_desk.redirect_uri}"
    assert step in document["error"]["message"]


async def test_only_the_answer_with_its_state_is_taken(desk: Desk) -> None:
    status, _ = await desk.login(state="x" * 43)
    assert status == 0


async def test_a_token_that_ran_out_is_renewed_and_kept(desk: Desk) -> None:
    await desk.login()
    before = desk.kept()
    desk.keep(expires_at=int(time.time()) + 10)
    assert (await desk.run("operator", "list"))[0] == 0
    after = desk.kept()
    assert after["access_token"] != before["access_token"]
    assert after["expires_at"] > time.time() + 60
    assert after["refresh_token"] == before["refresh_token"]


async def test_a_sign_in_that_is_over_tells_how_to_begin_another(desk: Desk) -> None:
    await desk.login()
    desk.keep(expires_at=0, refresh_token="x" * 43)
    status, document = await desk.run("operator", "list")
    assert (status, document["error"]["reason"]) == (2, "invalid_grant")
    assert "creditgate login" in document["error"]["message"]
    desk.keep(refresh_token=None)
    assert "creditgate login" in (await desk.run("operator", "list"))[1]["error"]["message"]


async def test_signing_out_ends_the_grant_and_forgets_the_tokens(desk: Desk) -> None:
    await desk.login()
    kept = desk.kept()
    assert (await desk.run("logout"))[1] == {"signed_out": True}
    assert not desk.profile.with_name(SIGNED_IN).exists()
    assert (await desk.run("logout"))[1] == {"signed_out": False}
    desk.profile.with_name(SIGNED_IN).write_text(json.dumps(kept))

    async def revoked() -> bool:
        status, document = await desk.run("operator", "list")
        return (status, document.get("error", {}).get("reason")) == (2, "TOKEN_REVOKED")

    # Serving follows what is revoked; the command may ask before it has looked.
    await eventually(revoked)


async def test_a_dangerous_command_is_told_to_step_up_and_then_done(own_desk: Desk) -> None:
    world = own_desk.world
    for subject in ("zhou-an", "wu-ping"):
        await world.administer(subject, [SECURITY])
    world.installation.keep(ADMINISTRATION_POLICY, POLICY_ID, AdministrationPolicy(guarded=True))
    await world.caught_up()
    remove = ("administrator", "remove", PERSON, *WHY)
    await own_desk.login("zhou-an")
    status, document = await own_desk.run(*remove)
    assert (status, document["error"]["reason"]) == (2, "STEP_UP_REQUIRED")
    assert "creditgate login --step-up" in document["error"]["message"]
    await own_desk.login("zhou-an", "--step-up")
    status, document = await own_desk.run(*remove)
    assert status == 0
    assert document["administrator"]["remove_time"]


async def test_administrators_are_registered_listed_and_given_roles(own_desk: Desk) -> None:
    await own_desk.world.administer("zhou-an", [SECURITY])
    await own_desk.login("zhou-an")
    named = ("--name", "Ada", "--issuer", "https://idp.test", "--subject", "a-1")
    register = ("administrator", "register", "ada", *named, "--role", "audit", *WHY)
    status, document = await own_desk.run(*register)
    assert status == 0
    assert document["administrator"]["roles"] == ["ADMINISTRATOR_ROLE_AUDIT"]
    roles = ("administrator", "roles", "ada", "--role", "pricing", "--role", "audit", *WHY)
    assert (await own_desk.run(*roles))[1]["administrator"]["etag"] == "2"
    listed = (await own_desk.run("administrator", "list"))[1]["administrators"]
    assert {each["administrator_id"] for each in listed} == {PERSON, "zhou-an", "ada"}
    own = ("administrator", "roles", "zhou-an", "--role", "security", "--role", "pricing", *WHY)
    status, document = await own_desk.run(*own)
    assert (status, document["error"]["reason"]) == (2, "STATE_CONFLICT")


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "https://127.0.0.1:8765/x",
        "http://evil.test:8765/x",
        "http://127.0.0.1/x",
        "http://127.0.0.1:x/",
    ],
)
async def test_browsers_come_back_to_this_machine_alone(desk: Desk, redirect_uri: str) -> None:
    status, document = await desk.run("login", "--no-browser", "--redirect-uri", redirect_uri)
    assert status == 1
    assert "--redirect-uri" in document["error"]["message"]
