"""``creditgate anchor`` and ``creditgate federation``: a federation set up by commands alone."""

import json
import signal
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.demo.ports import free_port
from tests.cli import forked_command
from tests.cli.commands import (
    SECONDS,
    Done,
    Served,
    creditgate_here,
    environment,
    served_demo,
)
from tests.forking import COMMAND, IN_ORDER, nursery

ADMINISTRATOR = "administrator"
WHY = ("--reason", "a test")
OTHER = "https://other.example"


@dataclass(frozen=True)
class AnchorHome:
    """An anchor made by ``creditgate anchor init``."""

    folder: Path
    entity_id: str

    def run(self, *arguments: str | Path) -> Done:
        """Run a command on it."""
        return creditgate_here(
            self.folder.parent / "none", "anchor", *arguments, "--home", self.folder
        )

    def answer(self, *arguments: str | Path) -> Any:
        """Return what a command that goes well prints as JSON."""
        done = self.run(*arguments, "--json")
        assert done.status == 0, done.out + done.told
        return done.json

    def told(self, *arguments: str | Path) -> str:
        """Return what a command that fails tells."""
        done = self.run(*arguments, "--json")
        assert done.status == 1, done.out + done.told
        return done.json["error"]["message"]


@contextmanager
def anchored(folder: Path) -> Generator[AnchorHome]:
    """Make an anchor and run ``creditgate anchor serve`` while the context lasts."""
    port = free_port()
    anchor = AnchorHome(folder, f"https://127.0.0.1:{port}")
    anchor.answer("init", anchor.entity_id)
    words = ("anchor", "serve", "--home", str(folder), "--port", str(port), "--json")
    process = nursery().begun(forked_command.told(words, environment(folder)), COMMAND)
    try:
        assert json.loads(process.line())["port"] == port
        yield anchor
        process.send(signal.SIGINT)
        assert process.rest(SECONDS).endswith(IN_ORDER)
    finally:
        process.kill()
        process.rest(SECONDS)


@pytest.fixture(scope="module")
def anchor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AnchorHome]:
    """An anchor that answers."""
    with anchored(tmp_path_factory.mktemp("anchor") / "home") as serving:
        yield serving


@pytest.fixture(scope="module")
def served(anchor: AnchorHome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A gateway under the anchor."""
    folder = tmp_path_factory.mktemp("region")
    keys = folder / "anchor-keys.json"
    keys.write_text(anchor.run("keys", "--json").out)
    with served_demo(
        folder / "home",
        FEDERATION_ANCHOR=anchor.entity_id,
        FEDERATION_ANCHOR_KEYS=str(keys),
        FEDERATION_ANCHOR_CA=str(anchor.folder / "pki" / "ca.pem"),
    ) as serving:
        yield serving


def configuration(served: Served, folder: Path) -> tuple[Path, str]:
    """Return a file with a region's statement of itself, and the id of its key."""
    file = folder / "statement.jwt"
    told = served.run(ADMINISTRATOR, "federation", "statement")
    assert told.status == 0, told.told
    as_json = served.answer(ADMINISTRATOR, "federation", "statement")["statement"]
    assert as_json.count(".") == told.out.strip().count(".") == 2
    file.write_text(told.out)
    return file, served.answer(ADMINISTRATOR, "federation", "key")["kid"]


def standing(served: Served) -> dict[str, str]:
    listed = served.answer(ADMINISTRATOR, "federation", "list").get("regions", [])
    return {each["entity_id"]: each["standing"] for each in listed}


def test_a_region_is_enrolled_cut_off_and_restored_by_commands(
    anchor: AnchorHome, served: Served, tmp_path: Path
) -> None:
    statement, kid = configuration(served, tmp_path)
    other = "A" * 43
    told = anchor.told("enrol", statement, "--code", "31", "--key", other, *WHY)
    assert "another key" in told
    enrolled = anchor.answer("enrol", statement, "--code", "31", "--key", kid, *WHY)
    ((entity_id, region),) = enrolled["regions"].items()
    assert (region["codes"], region["kids"]) == (["31"], [kid])
    assert entity_id == served.told["issuer"]
    until(lambda: entity_id in standing(served))
    shown = served.answer(ADMINISTRATOR, "federation", "show", entity_id)["region"]
    assert shown["codes"] == ["31"]
    assert entity_id in served.run(ADMINISTRATOR, "federation", "show", entity_id).out
    assert anchor.answer("cut-off", entity_id, *WHY)["regions"][entity_id]["cut_off_at"]
    assert "cut off already" in anchor.told("cut-off", entity_id, *WHY)
    assert entity_id in anchor.run("list").out
    assert anchor.answer("restore", entity_id, *WHY)["regions"][entity_id]["cut_off_at"] is None
    assert entity_id not in anchor.answer("withdraw", entity_id, *WHY)["regions"]
    assert "No region" in anchor.told("restore", entity_id, *WHY)


def until(condition: Any, seconds: float = 10.0) -> None:
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds
        time.sleep(0.1)


def test_a_region_is_admitted_and_dismissed_by_commands(served: Served) -> None:
    firm = ("operator", "create", "region-other", "--name", "Another region")
    uscc = ("--uscc", "91000000DEM000011A")
    served.answer(ADMINISTRATOR, *firm, *uscc, "--class", "region", *WHY)
    admit = ("federation", "admit", OTHER, "--operator", "region-other", *WHY)
    region = served.answer(ADMINISTRATOR, *admit)["region"]
    assert region["operator_id"] == "region-other"
    assert served.refusal(ADMINISTRATOR, *admit) == "RESOURCE_EXISTS"
    assert standing(served)[OTHER] == "REGION_STANDING_DOES_NOT_STAND"
    gone = served.answer(ADMINISTRATOR, "federation", "dismiss", OTHER, *WHY)["region"]
    assert gone["operator_id"] == ""
    changes = served.answer(ADMINISTRATOR, "operator", "history", "--kind", "region_admission")[
        "changes"
    ]
    assert [change["reason"] for change in changes] == [WHY[1]] * 2


def test_a_firm_fetches_the_credential_of_its_licence(served: Served) -> None:
    scope = "credit.licences:credential"
    served.answer(ADMINISTRATOR, "scopes", "grant", "alpha-credit", "--scope", scope, *WHY)
    answer = served.answer("alpha-client", "licence", "credential")
    assert answer["credential"].count(".") == 2
    assert answer["expire_time"]
    told = served.run("alpha-client", "licence", "credential")
    assert told.out.strip().splitlines()[-1].count(".") == 2
    refused = served.refusal("alpha-client", "licence", "credential", "--number", "L-0")
    assert refused == "LICENCE_CREDENTIAL_INVALID"


def test_an_anchor_that_is_not_there_is_told_with_the_mend(tmp_path: Path) -> None:
    absent = AnchorHome(tmp_path / "absent", "https://anchor.example")
    assert "anchor init" in absent.told("list")
    assert "https URL" in absent.told("init", "http://anchor.example")
    assert absent.answer("init", absent.entity_id)["kid"]
    assert "already" in absent.told("init", absent.entity_id)
    file = tmp_path / "no.jwt"
    file.write_text("nonsense")
    assert "no entity configuration" in absent.told(
        "enrol", file, "--code", "31", "--key", "x", *WHY
    )
    keys = json.loads(absent.run("keys", "--json").out)["keys"]
    assert all("d" not in key for key in keys)
    assert [key["kid"] in absent.run("keys").out for key in keys] == [True]


def test_a_gateway_in_no_federation_tells_so(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert creditgate_here(home, "init").status == 0
    told = creditgate_here(home, "federation", "key", "--json")
    assert "federation_anchor" in told.json["error"]["message"]
