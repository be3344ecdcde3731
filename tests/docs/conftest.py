"""A clone with a gateway served in it, as a reader of the pages has after ``make serve``."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, script
from tests.docs.warm import warm_commands
from tests.node.conftest import NodeClient, node_client

__all__ = ["node_client"]

_SECONDS = 240


@dataclass(frozen=True)
class Clone:
    """The folder, and what the gateway told of itself."""

    folder: Path
    environment: dict[str, str]
    grpc: str
    commands: Path

    def run(self, page: Path) -> subprocess.CompletedProcess[str]:
        """Run the commands of a page in one shell; those of README by the installed program,
        others by one that is loaded already."""
        path = self.environment["PATH"]
        if page != ROOT / "README.md":
            path = f"{self.commands}:{path}"
        return subprocess.run(
            ["bash", "-x", "-c", script(page, self.grpc)],
            stdin=subprocess.DEVNULL,
            cwd=self.folder,
            env={**self.environment, "PATH": path},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory, node_client: NodeClient) -> Iterator[Clone]:
    """A clone whose gateway serves demo data on free ports."""
    del node_client  # for its packages, which README has installed before its call
    folder = tmp_path_factory.mktemp("clone")
    for entry in ROOT.iterdir():
        if entry.name != "var":
            (folder / entry.name).symlink_to(entry)
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("CREDITGATE_")
    }
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    ports = ("GRPC_PORT", "HTTPS_PORT", "DEVELOPMENT_PROVIDER_PORT")
    serving = {**environment, **{f"CREDITGATE_{name}": "0" for name in ports}}
    command = [sys.executable, "-m", "gateway.cli", "serve", "--demo", "--json"]
    with (
        (folder / "serve.log").open("w+", encoding="utf-8") as log,
        subprocess.Popen(
            command, cwd=folder, env=serving, stdout=subprocess.PIPE, stderr=log, text=True
        ) as gateway,
    ):
        try:
            assert gateway.stdout is not None
            line = gateway.stdout.readline()
            if not line:
                log.seek(0)
                pytest.fail(f"the gateway did not start:\n{log.read()}")
            with warm_commands() as commands:
                yield Clone(folder, environment, json.loads(line)["grpc"], commands)
        finally:
            gateway.terminate()


@pytest.fixture
def reader(clone: Clone) -> Callable[[Path], str]:
    """Runs a page as its reader would; returns what it printed, fails with all that was said."""

    def read(page: Path) -> str:
        done = clone.run(page)
        assert done.returncode == 0, f"{page.name}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return read
