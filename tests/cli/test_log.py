"""``creditgate log``: keys, checkpoints, entries, and the check of an installation's stores."""

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import insert, text

from creditgate.transparency.note import VerifierKey, open_checkpoint
from gateway.conformance.finding_tables import EVIDENCE
from gateway.selfcheck.coverage import NOT_COVERED
from tests.cli.commands import creditgate_here
from tests.installation import PUBLISHER, Installation, company, furnished
from tests.server.calls import draft, publish
from tests.stores import SqliteStores, engines_of
from tests.transparency.monitor import files_of, logged

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def home(sqlite_stores: SqliteStores) -> AsyncIterator[Path]:
    """The home of an installation that has disclosed and decided something."""
    with furnished(sqlite_stores) as installation:
        async with (
            installation.running() as gateway,
            gateway.channel(PUBLISHER) as channel,
            files_of(gateway) as files,
        ):
            await publish(channel, [draft(f"r-{n}", company(n)) for n in range(3)])
            await logged(files, 3)
        yield installation.folder


@pytest.fixture
def own_home(home: Path, tmp_path: Path) -> Path:
    """A copy of it, to be written to."""
    return Path(shutil.copytree(home, tmp_path / "home"))


async def test_a_log_tells_its_key_and_its_newest_checkpoint(home: Path) -> None:
    for name in ("disclosure", "decisions"):
        key = VerifierKey.parse(creditgate_here(home, "log", "key", "--log", name).out)
        note = creditgate_here(home, "log", "checkpoint", "--log", name).out
        told = creditgate_here(home, "log", "checkpoint", "--log", name, "--json").json
        assert open_checkpoint(note, key).size == told["size"]
        assert told["checkpoint"] == note
        assert key.name.endswith(f"/log/{name}")
    receipts = VerifierKey.parse(creditgate_here(home, "log", "key", "--log", "usage").out)
    assert receipts.name.endswith("/log/usage")


async def test_entries_are_told_one_a_line_from_where_it_is_asked(home: Path) -> None:
    lines = [json.loads(line) for line in creditgate_here(home, "log", "tail").out.splitlines()]
    assert [entry["index"] for entry in lines] == list(range(5))
    assert [entry["event"]["event_sequence"] for entry in lines if "event" in entry] == [
        "1",
        "2",
        "3",
    ]
    some = ("log", "tail", "--from", "1", "--most", "2", "--json")
    assert creditgate_here(home, *some).json["entries"] == lines[1:3]
    # What is followed for ever is no document.
    assert creditgate_here(home, "log", "tail", "--follow", "--json").status == 1


async def test_the_check_says_that_all_is_as_it_was_written(home: Path) -> None:
    done = creditgate_here(home, "log", "check")
    assert done.status == 0, done.out
    assert "All is as it was written" in done.out
    assert creditgate_here(home, "log", "check", "--json").json["events"] == 3


async def test_the_check_tells_where_somebody_else_wrote(own_home: Path) -> None:
    with engines_of("sqlite", own_home) as engines, engines.records.begin() as connection:
        connection.execute(
            text("UPDATE disclosure_events SET note = 'another reason' WHERE sequence = 2")
        )
    done = creditgate_here(own_home, "log", "check", "--json")
    assert done.status == 1
    assert [fault["place"] for fault in done.json["faults"]] == [
        "disclosure_log_heads, log_index 4"
    ]
    (own_home / "keys" / "log-decisions.pem").unlink()
    done = creditgate_here(own_home, "log", "check", "--json")
    assert "logs, decisions" in [fault["place"] for fault in done.json["faults"]]
    (own_home / "keys" / "salts.key").unlink()
    done = creditgate_here(own_home, "log", "check")
    assert done.status != 0
    assert not (own_home / "keys" / "salts.key").exists()


async def test_the_check_looks_at_what_is_kept_of_operators_and_names_what_it_cannot(
    own_home: Path,
) -> None:
    told = creditgate_here(own_home, "log", "check", "--json").json
    assert told["not_covered"] == dict(NOT_COVERED)
    printed = creditgate_here(own_home, "log", "check").out
    assert all(name in printed for name in told["not_covered"])
    with engines_of("sqlite", own_home) as engines, engines.evidence.begin() as connection:
        connection.execute(
            insert(EVIDENCE).values(
                finding_id="none", operator_id="alpha", at=1, bytes=1, evidence=b"x"
            )
        )
    done = creditgate_here(own_home, "log", "check", "--json")
    assert done.status == 1
    places = [fault["place"] for fault in done.json["faults"]]
    assert places == ['finding_evidence, ["none"]', "finding_evidence"]


async def test_before_the_first_start_there_is_no_log(embedded: Installation) -> None:
    done = creditgate_here(embedded.folder, "log", "key")
    assert done.status == 1
    assert "start the gateway" in done.told + done.out
