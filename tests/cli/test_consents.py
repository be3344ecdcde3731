"""``creditgate consent`` against a gateway: asked, granted, used, watched, ended, cleared up."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.cli.commands import Done, creditgate_here
from tests.consents.counter import Counter, new_subject
from tests.consents.subjects_own import SubjectsOwn
from tests.installation import CONSENT_ITEM, OPERATOR_CLIENT, PUBLISHER, Installation
from tests.server.calls import draft, publish
from tests.stores import SqliteStores

pytestmark = pytest.mark.asyncio(loop_scope="module")

NEXT_YEAR = datetime.now(UTC).year + 1
TERMS = (
    *("--item", CONSENT_ITEM, "--purpose", "supplier-check", "--region", "*"),
    *("--until", f"{NEXT_YEAR}-01-01", "--data-life", "30"),
)


@dataclass(frozen=True)
class Desk:
    """A gateway, and the command line of an operator's client."""

    counter: Counter

    async def run(self, *arguments: str | Path) -> Done:
        """Run a command as the operator's client."""
        home = self.counter.installation.folder
        profile = home / "clients" / OPERATOR_CLIENT / "profile.json"
        return await asyncio.to_thread(creditgate_here, home, *arguments, PROFILE=str(profile))

    async def answer(self, *arguments: str | Path) -> Any:
        """Return what a command that goes well prints as JSON."""
        done = await self.run("consent", *arguments, "--json")
        assert done.status == 0, done.out + done.told
        return done.json

    async def shown(self, *arguments: str | Path) -> str:
        """Return what a command that goes well prints for people."""
        done = await self.run("consent", *arguments)
        assert done.status == 0, done.out + done.told
        return done.out

    async def granted(self, *terms: str) -> str:
        """Return the name of a consent that was asked for and granted."""
        asked = await self.answer("request", new_subject(), *TERMS, *terms)
        name: str = asked["consent"]["name"]
        self.counter.grant(await self.counter.read(name))
        return name


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(sqlite_stores: SqliteStores) -> AsyncIterator[Desk]:
    """A gateway with a furnished operator."""
    with sqlite_stores.database() as store:
        installation = Installation(*store)
        installation.furnish()
        async with installation.running() as gateway, gateway.channel() as alpha:
            yield Desk(Counter(gateway, alpha, alpha, alpha))
        installation.close()


async def test_a_consent_is_asked_for_in_the_words_of_the_command_line(desk: Desk) -> None:
    subject = new_subject()
    more = ("--times-per-day", "3", "--data-life-end", "anonymise", "--message", "贷款审批")
    asked = await desk.answer("request", subject, *TERMS, *more, "--request-id", "cli-1")
    consent = asked["consent"]
    assert (consent["state"], consent["subject"]) == ("CONSENT_STATE_REQUESTED", subject)
    assert consent["message"] == "贷款审批"
    assert consent["terms"]["access_mode"] == "CONSENT_ACCESS_MODE_TIMES_PER_DAY"
    assert consent["terms"]["times_per_day"] == 3
    assert consent["terms"]["data_life"] == f"{30 * 86_400}s"
    assert consent["terms"]["data_life_end"] == "DATA_LIFE_END_ANONYMISE"
    assert consent["terms"]["validity"]["end_time"] == f"{NEXT_YEAR}-01-01T00:00:00Z"
    assert asked["answer_uri"].endswith(f"/my/{consent['name']}")
    told = await desk.shown("show", consent["name"].removeprefix("consents/"))
    for word in ("requested by operator", "3 times a day", "30 days, then anonymise"):
        assert word in told
    listed = await desk.shown("list", "--subject", subject, "--state", "requested")
    assert consent["name"] in listed
    none = await desk.answer("list", "--subject", subject, "--state", "granted")
    assert none["consents"] == []


async def test_a_length_does_for_an_end_and_one_of_them_must_be_said(desk: Desk) -> None:
    until, days = TERMS[6:8], ("--valid-days", "30")
    rest = (*TERMS[:6], *TERMS[8:])
    begins = ("--from", "2099-01-01")
    done = await desk.run("consent", "request", new_subject(), *rest, *days, *begins, "--json")
    assert done.json["error"]["reason"] == "INVALID_REQUEST", "a distant validity is refused"
    asked = await desk.answer("request", new_subject(), *rest, *days)
    validity = asked["consent"]["terms"]["validity"]
    begun, ended = (datetime.fromisoformat(validity[end]) for end in ("start_time", "end_time"))
    assert (ended - begun).days == 30
    for wrong in ((), (*until, *days)):
        done = await desk.run("consent", "request", new_subject(), *rest, *wrong, "--json")
        assert (done.status, done.json["error"]["reason"]) == (2, "USAGE")


async def test_fields_of_an_item_are_named_behind_it(desk: Desk) -> None:
    terms = ("--item", f"{CONSENT_ITEM}:finding", *TERMS[2:])
    asked = await desk.answer("request", new_subject(), *terms)
    assert asked["consent"]["terms"]["items"] == [{"item": CONSENT_ITEM, "fields": ["finding"]}]
    assert f"{CONSENT_ITEM} (finding)" in await desk.shown("show", asked["consent"]["name"])


async def test_a_wrong_request_is_refused_by_its_fields(desk: Desk) -> None:
    terms = ("--item", f"{CONSENT_ITEM}:nothing", *TERMS[2:])
    done = await desk.run("consent", "request", new_subject(), *terms, "--json")
    assert done.status == 2
    error = done.json["error"]
    assert error["reason"] == "INVALID_REQUEST"
    assert [each["field"] for each in error["violations"]] == ["terms.items[0].fields"]
    done = await desk.run("consent", "show", "consents/unknown", "--json")
    assert (done.status, done.json["error"]["reason"]) == (2, "RESOURCE_NOT_FOUND")


async def test_a_receipt_is_read_from_the_gateway_and_signed(desk: Desk, tmp_path: Path) -> None:
    name = await desk.granted()
    told = await desk.answer("receipt", "verify", name)
    assert told["artefact"]["consent"] == name
    assert (await desk.answer("show", name))["consent"]["receipt"].count(".") == 2
    own = SubjectsOwn("EdDSA")
    (tmp_path / "own.pem").write_bytes(own.pem)
    signed = await desk.answer("receipt", "countersign", name, "--key", tmp_path / "own.pem")
    assert signed["signature"].count("..") == 1
    asked = await desk.answer("request", new_subject(), *TERMS)
    done = await desk.run("consent", "receipt", "verify", asked["consent"]["name"])
    assert (done.status, done.out) == (1, "")
    assert "no receipt" in done.told


async def test_uses_are_listed_and_an_end_is_cleared_up(desk: Desk) -> None:
    name = await desk.granted("--access", "within-period")
    consent = await desk.counter.read(name)
    async with desk.counter.gateway.channel(PUBLISHER) as publisher:
        await publish(publisher, [draft(f"tax-{consent.subject}", consent.subject, CONSENT_ITEM)])
    query = ("query", consent.subject, "--purpose", "supplier-check", "--item", CONSENT_ITEM)
    asked = await desk.run(*query, "--consent", name, "--json")
    assert len(asked.json["records"]) == 1
    [access] = (await desk.answer("accesses", name))["accesses"]
    assert (access["consent"], access["item"]) == (name, CONSENT_ITEM)
    assert f"tax-{consent.subject}" in await desk.shown("accesses", name)
    for _ in range(3):
        await desk.counter.use(consent, request_id="r-again")
    used, *_ = (await desk.answer("accesses", name))["accesses"]
    assert (used["given_again"]["times"], "last_time" in used["given_again"]) == ("2", True)
    shown = await desk.shown("accesses", name)
    assert "sent_again" in shown
    assert "last_sent_again" in shown
    revoked = await desk.answer("revoke", name, "--reason", "no longer needed")
    assert revoked["consent"]["removal"]["data_life_end"] == "DATA_LIFE_END_DELETE"
    assert "copies: delete until" in await desk.shown("watch", "--for", "1")
    refused = await desk.run(*query, "--consent", name, "--json")
    assert refused.json["error"]["reason"] == "CONSENT_REVOKED"
    done = await desk.answer("acknowledge", name)
    assert done == {"acknowledged_removals": 1, "outstanding_removals": "0"}
    assert "gone" in await desk.shown("show", name)


async def test_changes_are_watched_from_where_one_left_off(desk: Desk) -> None:
    before = await desk.answer("watch", "--for", "1")
    name = await desk.granted()
    two = await desk.answer("watch", "--after", str(before["sequence"]), "--most", "2")
    assert [each["event"]["consent"] for each in two["changes"]] == [name, name]
    states = [each["event"]["state"] for each in two["changes"]]
    assert states == ["CONSENT_STATE_REQUESTED", "CONSENT_STATE_GRANTED"]
    assert two["sequence"] == int(two["changes"][1]["event"]["sequence"])
    lines = await desk.shown("watch", "--after", str(before["sequence"]), "--most", "2")
    assert [line.split()[1] for line in lines.splitlines()] == [name, name]


async def test_one_document_does_not_follow_for_ever(desk: Desk) -> None:
    done = await desk.run("consent", "watch", "--json")
    assert done.status == 1
    assert "--most" in json.loads(done.out)["error"]["message"]


async def test_others_words_reach_the_terminal_as_text(desk: Desk) -> None:
    before = await desk.answer("watch", "--for", "1")
    name = await desk.granted()
    await desk.answer("revoke", name, "--reason", "[bold]no[/bold]")
    lines = await desk.shown("watch", "--after", str(before["sequence"]), "--most", "3")
    assert "[bold]no[/bold]" in lines


async def test_an_administrator_traces_a_consent_to_its_uses_and_their_end(desk: Desk) -> None:
    name = await desk.granted("--access", "within-period")
    consent = await desk.counter.read(name)
    record = f"tax-{consent.subject}"
    async with desk.counter.gateway.channel(PUBLISHER) as publisher:
        await publish(publisher, [draft(record, consent.subject, CONSENT_ITEM)])
    await desk.run(
        *("query", consent.subject, "--purpose", "supplier-check", "--consent", name, "--json")
    )
    await desk.answer("revoke", name)
    await desk.answer("acknowledge", name)
    home = desk.counter.installation.folder
    profile = home / "clients" / "administrator" / "profile.json"
    done = await asyncio.to_thread(
        creditgate_here, home, "consent", "trace", name, PROFILE=str(profile)
    )
    assert done.status == 0, done.out + done.told
    table = done.out.partition("Trace, oldest first")[2]
    told = ("requested", "granted", "used", record, "revoked", "copies gone")
    places = [table.index(word) for word in told]
    assert places == sorted(places)
    refused = await desk.run("consent", "trace", name, "--json")
    assert refused.json["error"]["reason"] == "SCOPE_NOT_GRANTED"
