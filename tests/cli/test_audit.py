"""``creditgate audit``: administrators trace what was decided, and verify it themselves."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from creditgate.transparency.note import open_checkpoint
from tests.audit.proved import key_of_decisions
from tests.cli.commands import Done, creditgate_here
from tests.consents.counter import refusal_of
from tests.installation import (
    OPERATOR_CLIENT,
    OPERATOR_ID,
    PUBLIC_ITEM,
    PUBLISHER,
    Installation,
    company,
)
from tests.server.calls import draft, publish, query
from tests.stores import SqliteStores
from tests.transparency.keys import key_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class Office:
    """A gateway that answered one call and refused another, and its administrator."""

    installation: Installation
    decision: str
    request_id: str

    async def run(self, *arguments: str | Path) -> Done:
        """Run a command as the administrator."""
        return await asyncio.to_thread(creditgate_here, self.installation.folder, *arguments)

    async def answer(self, *arguments: str | Path) -> Any:
        """Return what a command that goes well prints as JSON."""
        done = await self.run(*arguments, "--json")
        assert done.status == 0, done.out + done.told
        return done.json


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(sqlite_stores: SqliteStores) -> AsyncIterator[Office]:
    """An office with two decisions."""
    with sqlite_stores.database() as store:
        installation = Installation(*store)
        installation.furnish()
        async with (
            installation.running() as gateway,
            gateway.channel(OPERATOR_CLIENT) as operator,
            gateway.channel(PUBLISHER) as publisher,
        ):
            request_id = uuid4().hex
            await publish(publisher, [draft("r-1", company(1))])
            told = await query(operator, company(1), items=[PUBLIC_ITEM], request_id=request_id)
            await refusal_of(query(operator, company(1), items=["no.such-item"]))
            yield Office(installation, f"decisions/{told.receipt.decision_id}", request_id)
        installation.close()


async def test_every_trace_is_told_and_verified(office: Office) -> None:
    key = str(key_of_decisions(office.installation))
    traces = (
        ("request", "--decision", office.decision),
        ("request", "--client", OPERATOR_CLIENT, "--request-id", office.request_id),
        ("record", "r-1"),
        ("operator", OPERATOR_ID),
    )
    for trace in traces:
        told = await office.answer("audit", *trace, "--key", key)
        kinds = {kind for step in told["steps"] for kind in step}
        assert {"decision", "usage"} <= kinds, trace
        done = await office.run("audit", *trace, "--key", key)
        assert "The decisions are proved" in done.out
        assert "answered" in done.out
        bare = await office.run("audit", *trace)
        assert bare.status == 0
        assert "proved" not in bare.out
    nothing = await office.run("audit", "request")
    assert nothing.status == 1


async def test_decisions_are_listed_narrowed_and_proved(office: Office, tmp_path: Path) -> None:
    key = str(key_of_decisions(office.installation))
    held = tmp_path / "decisions.checkpoint"
    refused = ("audit", "decisions", "--operator", OPERATOR_ID, "--refused-for")
    for reason in ("any", "item-not-allowed"):
        told = await office.answer(*refused, reason, "--key", key, "--held", held)
        assert [each["entry"]["outcome"] for each in told["decisions"]] == [
            "DECISION_OUTCOME_REFUSED"
        ]
    assert (await office.run(*refused, "no-reason")).status == 1
    kept = open_checkpoint(held.read_text(encoding="utf-8"), key_of_decisions(office.installation))
    again = await office.run("audit", "decisions", "--key", key, "--held", held)
    assert f"since {kept.size} entries" in again.out
    assert "ITEM_NOT_ALLOWED" in again.out


async def test_what_does_not_verify_is_told_and_nothing_else(
    office: Office, tmp_path: Path
) -> None:
    key = str(key_of_decisions(office.installation))
    other = key_of(key_of_decisions(office.installation).name).verifier
    done = await office.run("audit", "decisions", "--key", str(other))
    assert done.status == 1
    assert "does not verify" in done.told
    assert not done.out
    held = tmp_path / "held"
    held.write_text("no checkpoint")
    assert (await office.run("audit", "decisions", "--key", key, "--held", held)).status == 1
    assert (await office.run("audit", "decisions", "--held", held)).status == 1
