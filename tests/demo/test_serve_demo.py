"""``serve --demo`` writes what outside programs need, and a second time reuses everything."""

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Final

import pytest

from creditgate.scopes import known_scopes
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.catalogue.file import NATIONAL, read_catalogue
from gateway.demo.invented import CORRECTED
from tests.cli.commands import PROGRAM, SECONDS, creditgate, environment, served_demo
from tests.node.conftest import NodeClient, node_client

__all__ = ["node_client"]

SCRIPT: Final = Path(sys.executable).parent / "creditgate"


def test_a_served_demo_can_be_called_from_outside_and_is_reused(
    tmp_path: Path, node_client: NodeClient
) -> None:
    home = tmp_path / "home"
    with served_demo(home) as served:
        first = written(home)
        assert first.items() <= served.told.items()
        assert_complete(first)
        example = first["example"]
        done = node_client(
            "get_subject_records.mjs", home / "serve.json", example["subject"], example["purpose"]
        )
        assert done.returncode == 0, done.stderr
        assert len(json.loads(done.stdout)["records"]) == 2
        changes = served.answer("administrator", "operator", "history")
    with served_demo(home) as served:
        again = written(home)
        assert again["clients"] == first["clients"]
        assert served.answer("administrator", "operator", "history") == changes
        answer = served.answer(
            "alpha-client", "query", example["subject"], "--purpose", "supplier-check"
        )
        assert [record["revision"] for record in answer["records"]] == [1, 1]


@pytest.mark.parametrize("program", [(str(SCRIPT),), PROGRAM], ids=["script", "module"])
def test_the_command_it_tells_works_in_any_folder_and_without_a_path(
    tmp_path: Path, program: tuple[str, ...]
) -> None:
    home = tmp_path / "a home"
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
            while "--profile" not in told:
                line = gateway.stdout.readline()
                assert line, told
                told += line
            command = told.partition("for example:\n")[2]
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
    done = creditgate(tmp_path / "home", "serve", "--demo", CLIENT_CA=str(tmp_path / "ca.pem"))
    assert done.status == 1
    assert "client_ca" in done.told


def test_a_seeding_that_fails_ends_the_gateway_with_its_reason(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    done = creditgate(tmp_path / "home", "serve", "--demo", "--data", data)
    assert done.status == 1
    assert "holds no file" in done.told
    assert not (tmp_path / "home" / "serve.json").exists()


def written(home: Path) -> dict[str, Any]:
    """Return serve.json."""
    return json.loads((home / "serve.json").read_text(encoding="utf-8"))


def assert_complete(document: dict[str, Any]) -> None:
    """Check that every client's files are there and its terms are known ones."""
    assert Path(document["ca"]).is_file()
    assert document["token_endpoint"].startswith(document["issuer"])
    clients = document["clients"]
    assert list(clients) == ["alpha-client", "beta-client", "publisher", "administrator"]
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
