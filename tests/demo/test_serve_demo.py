"""``serve --demo`` writes what outside programs need, and a second time reuses everything."""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from creditgate.scopes import known_scopes
from creditgate.v1.administrator_service_pb2 import (
    ListAdministratorsRequest,
    ListAdministratorsResponse,
)
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.catalogue.file import NATIONAL, read_catalogue
from gateway.demo.browser import PageUnexpected
from gateway.demo.cast import CONSOLE, PEOPLE
from gateway.demo.invented import CORRECTED
from gateway.demo.people import register_people, signed_in
from gateway.demo.ports import free_port
from gateway.demo.representing import LI_MING, representing
from gateway.demo.seed import acting_as
from gateway.installation.home import Home
from operators.administrators import scopes_of_administrator_role
from tests.cli.commands import (
    PROGRAM,
    SECONDS,
    Served,
    creditgate_forked,
    creditgate_here,
    environment,
    served_demo,
)
from tests.node.conftest import NodeClient, node_client

__all__ = ["node_client"]

SCRIPT: Final = Path(sys.executable).parent / "creditgate"


@dataclass(frozen=True)
class ServedTwice:
    """A demo that was served, ended, and is served again from what it left."""

    first: dict[str, Any]
    first_changes: dict[str, Any]
    served: Served

    @property
    def home(self) -> Path:
        """Where it keeps everything."""
        return self.served.home


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedTwice]:
    """A demo that is served for the second time."""
    home = tmp_path_factory.mktemp("served") / "home"
    # People are known by their provider's address, so it stays.
    port = str(free_port())
    with served_demo(home, DEVELOPMENT_PROVIDER_PORT=port) as served:
        first = written(home)
        assert first.items() <= served.told.items()
        changes = history(served)
    with served_demo(home, DEVELOPMENT_PROVIDER_PORT=port) as served:
        yield ServedTwice(first, changes, served)


def test_a_demo_served_again_is_what_it_was(again: ServedTwice) -> None:
    now = written(again.home)
    assert_complete(again.first)
    assert now["clients"] == again.first["clients"]
    assert now["people"] == again.first["people"]
    assert history(again.served) == again.first_changes
    example = now["example"]
    answer = again.served.answer(
        "alpha-client", "query", example["subject"], "--purpose", "supplier-check"
    )
    assert [record["revision"] for record in answer["records"]] == [1, 1]


def test_a_served_demo_can_be_called_from_outside(
    again: ServedTwice, node_client: NodeClient
) -> None:
    example = written(again.home)["example"]
    done = node_client(
        "get_subject_records.mjs", again.home / "serve.json", example["subject"], example["purpose"]
    )
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["records"]) == 2


async def test_a_company_of_a_served_demo_finds_a_request_and_consents(again: ServedTwice) -> None:
    served = written(again.home)
    asked = await asyncio.to_thread(
        again.served.answer,
        "alpha-client",
        *("consent", "request", served["example"]["subject"], "--item", "evaluation.public-credit"),
        *("--purpose", "credit-approval", "--region", "*", "--valid-days", "1", "--data-life", "1"),
    )
    name = asked["consent"]["name"]
    assert asked["answer_uri"] == f"{served['subject_pages']}/{name}"
    (li_ming, *_) = served["people"]["representatives"]
    assert (li_ming["account"], li_ming["subject"]) == (LI_MING, served["example"]["subject"])
    async with representing(Home.at(again.home)) as representative:
        assert await representative.consent(name) == "granted"
        assert await representative.uses(name) == 0


async def test_the_people_of_a_served_demo_can_sign_in(again: ServedTwice) -> None:
    people = written(again.home)["people"]
    accounts = {account["account"]: account for account in people["accounts"]}
    assert accounts.keys() == PEOPLE.keys()
    assert people["client"] == CONSOLE
    home = Home.at(again.home)
    async with signed_in(home, "zhou-an") as person:
        assert person.scopes == scopes_of_administrator_role(PEOPLE["zhou-an"])
        listed = await person.gateway.ask(ListAdministratorsRequest(), ListAdministratorsResponse)
    assert {each.issuer for each in listed.administrators} == {people["identity_provider"]}
    # No administrator: the page offers nothing to approve.
    with pytest.raises(PageUnexpected, match="way back"):
        async with signed_in(home, LI_MING):
            pass
    async with acting_as(home, "administrator") as gateway:
        others = await register_people(gateway, "https://elsewhere.example")
        assert await register_people(gateway, "https://elsewhere.example") == others
    assert [each.administrator_id for each in others] == [f"{name}-2" for name in PEOPLE]


@pytest.mark.soak
def test_several_processes_serve_the_demo_without_people_and_say_so(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with served_demo(home, WORKERS="2"):
        assert written(home)["people"] is None
        told = (tmp_path / "home.log").read_text(encoding="utf-8")
        assert "nobody can sign in" in told
        assert "CREDITGATE_WORKERS=1" in told


@pytest.fixture(scope="module")
def spaced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a space in its path, seeded by the first that serves from it."""
    return tmp_path_factory.mktemp("spaced") / "a home"


@pytest.mark.parametrize(
    "program",
    [
        pytest.param((str(SCRIPT),), id="script"),
        pytest.param(PROGRAM, id="module", marks=pytest.mark.soak),
    ],
)
def test_the_command_it_tells_works_in_any_folder_and_without_a_path(
    tmp_path: Path, spaced: Path, program: tuple[str, ...]
) -> None:
    home = spaced
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(
            [*program, "serve", "--demo"],
            env=environment(home),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as gateway,
    ):
        guard = threading.Timer(SECONDS, gateway.kill)
        guard.start()
        try:
            assert gateway.stdout is not None
            told = ""
            while "--step-up" not in told:
                line = gateway.stdout.readline()
                assert line, told
                told += line
            told += gateway.stdout.readline() + gateway.stdout.readline()
            assert f"login --profile '{home}/clients/console/profile.json'" in told
            assert "/my: sign in as li-ming." in told
            assert "/console; firms see" in told
            assert "/portal: for alpha, sign in as he-lan." in told
            command = told.partition("for example:\n")[2].partition("Invented people")[0]
            done = subprocess.run(
                ["/bin/sh", "-c", command],
                cwd="/",
                env={"PATH": "/usr/bin:/bin"},
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
        finally:
            guard.cancel()
            gateway.terminate()
    assert done.returncode == 0, done.stderr
    assert f"registration-{CORRECTED}" in done.stdout


def test_a_demo_is_not_seeded_where_certificates_are_configured(tmp_path: Path) -> None:
    done = creditgate_forked(
        tmp_path / "home", "serve", "--demo", CLIENT_CA=str(tmp_path / "ca.pem")
    )
    assert done.status == 1
    assert "client_ca" in done.told


def test_a_seeding_that_fails_ends_the_gateway_with_its_reason(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    done = creditgate_forked(tmp_path / "home", "serve", "--demo", "--data", data)
    assert done.status == 1
    assert "holds no file" in done.told
    assert not (tmp_path / "home" / "serve.json").exists()


def test_a_demo_whose_client_was_removed_says_which_and_what_to_do(tmp_path: Path) -> None:
    home, other = tmp_path / "home", tmp_path / "other"
    for each in (home, other):
        assert creditgate_here(each, "init").status == 0
    signing = Path("clients", "administrator", "signing.pem")
    # To the token endpoint a client with other keys is the same as none.
    (home / signing).write_bytes((other / signing).read_bytes())
    done = creditgate_forked(home, "serve", "--demo")
    assert done.status == 1
    assert 'client "administrator"' in done.told
    assert "CREDITGATE_HOME" in done.told


def history(served: Served) -> Any:
    """Return every change of authority so far."""
    return served.answer("administrator", "operator", "history")


def written(home: Path) -> dict[str, Any]:
    """Return serve.json."""
    return json.loads((home / "serve.json").read_text(encoding="utf-8"))


def assert_complete(document: dict[str, Any]) -> None:
    """Check that every client's files are there and its terms are known ones."""
    assert Path(document["ca"]).is_file()
    assert document["token_endpoint"].startswith(document["issuer"])
    clients = document["clients"]
    assert list(clients) == ["alpha-client", "beta-client", "publisher", "administrator", "console"]
    for client in clients.values():
        for file in ("certificate", "key", "signing_key", "profile"):
            path = Path(client[file])
            assert path.is_absolute()
            assert path.is_file()
        assert set(client["scopes"]) <= known_scopes()
    alpha, beta = clients["alpha-client"], clients["beta-client"]
    assert (
        set(beta["items"]) < set(alpha["items"]) <= {item.code for item in read_catalogue(NATIONAL)}
    )
    assert set(beta["purposes"]) < set(alpha["purposes"]) <= set(Purpose.keys())
    assert beta["scopes"] != alpha["scopes"]
