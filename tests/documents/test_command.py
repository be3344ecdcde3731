"""``creditgate statements`` and ``creditgate analytics``, against a gateway that serves."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.settle.month import utc_text
from tests.cli.commands import Done, creditgate_here
from tests.installation import (
    OPERATOR_CLIENT,
    PRICE,
    PUBLIC_ITEM,
    PUBLISHER,
    SOURCE,
    Installation,
    company,
)
from tests.server.calls import draft, publish, query
from tests.stores import SqliteStores

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class Counter:
    """A gateway whose operator used one record, and its commands."""

    installation: Installation
    month: str
    key: str

    async def run(self, *arguments: str | Path, client: str = OPERATOR_CLIENT) -> Done:
        """Run a command as a client."""
        profile = self.installation.home.profile(client)
        return await asyncio.to_thread(
            creditgate_here,
            self.installation.folder,
            *arguments,
            *(("--profile", profile) if client else ()),
        )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def counter(sqlite_stores: SqliteStores) -> AsyncIterator[Counter]:
    """A counter with one use."""
    with sqlite_stores.database() as store:
        installation = Installation(*store)
        installation.furnish()
        async with (
            installation.running() as gateway,
            gateway.channel(OPERATOR_CLIENT) as operator,
            gateway.channel(PUBLISHER) as publisher,
        ):
            await publish(publisher, [draft("r-1", company(1))])
            await query(operator, company(1), items=[PUBLIC_ITEM])
            key = await asyncio.to_thread(
                creditgate_here, installation.folder, "log", "key", "--log", "usage"
            )
            yield Counter(installation, utc_text(int(time.time()))[:7], key.out.strip())
        installation.close()


@pytest.mark.parametrize("form", ["json", "csv", "parquet", "pdf"])
async def test_operator_fetches_its_statement_in_every_form(
    counter: Counter, tmp_path: Path, form: str
) -> None:
    file = tmp_path / "statement"
    arguments = ("statements", "fetch", counter.month, "--form", form, "--output", file)
    done = await counter.run(*arguments, "--json")
    assert done.status == 0, done.out + done.told
    assert done.json["bytes"] == file.stat().st_size > 0
    if form == "json":
        done = await counter.run(
            "statements", "verify", file, "--key", counter.key, "--json", client=""
        )
        assert done.status == 0, done.out + done.told
        assert done.json["owed_micro_yuan"] == str(PRICE)
        assert done.json["state"] == "OPEN"
        told = await counter.run("statements", "verify", file, "--key", counter.key, client="")
        assert "Verified: https://" in told.out
        file.write_text(file.read_text(encoding="utf-8")[:-9], encoding="utf-8")
        done = await counter.run("statements", "verify", file, "--key", counter.key, client="")
        assert (done.status, "not signed by this key" in done.told + done.out) == (1, True)


async def test_a_document_by_the_gateways_name_replaces_no_other(
    counter: Counter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ("statements", "fetch", counter.month, "--form", "csv")
    fetched = await counter.run(*arguments, "--json")
    assert (await counter.run(*arguments)).status == 0
    file = tmp_path / fetched.json["file"]
    file.write_text("of another day", encoding="utf-8")
    done = await counter.run(*arguments)
    assert (done.status, "--output" in done.told) == (1, True)
    assert file.read_text(encoding="utf-8") == "of another day"


async def test_statement_is_traced_to_use_and_record(counter: Counter) -> None:
    arguments = ("statements", "uses", counter.month, "--source", SOURCE, "--json")
    done = await counter.run(*arguments)
    assert done.status == 0, done.out + done.told
    (use,) = done.json["uses"]
    assert use["entry"]["record"] == "records/r-1"
    proof = await counter.run("usage", "proof", use["entry"]["name"], "--key", counter.key)
    assert proof.status == 0, proof.out + proof.told


async def test_what_no_month_closed_has_is_refused_with_what_mends_it(counter: Counter) -> None:
    arguments = ("statements", "fetch", counter.month, "--form", "csv", "--output", "x")
    done = await counter.run(*arguments, client="administrator")
    assert done.status == 2
    assert "name an operator" in done.told + done.out


async def test_archive_is_made_and_asked(counter: Counter, tmp_path: Path) -> None:
    at = ("--archive", tmp_path / "archive")
    question = "SELECT operator_id, sum(fee_micro_yuan)::BIGINT AS fee FROM usage GROUP BY ALL"
    done = await counter.run("analytics", "sql", question, *at, client="")
    assert done.status == 1
    assert "analytics archive" in done.told + done.out
    done = await counter.run("analytics", "archive", *at, client="")
    assert done.status == 0, done.out + done.told
    done = await counter.run("analytics", "sql", question, *at, "--json", client="")
    assert done.json == {
        "columns": ["operator_id", "fee"],
        "rows": [["alpha", PRICE]],
        "more": False,
    }
    done = await counter.run("analytics", "sql", "DROP VIEW usage", *at, client="")
    assert done.status == 1
