"""The command run as a program of its own, and a gateway served by it."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from gateway.cli.main import app

PROGRAM = (sys.executable, "-m", "gateway.cli")
SECONDS = 120


@dataclass(frozen=True)
class Done:
    """How a command ended; ``out`` is what it printed, ``told`` what it told on the side."""

    status: int
    out: str
    told: str

    @property
    def json(self) -> Any:
        """The one JSON document it printed."""
        return json.loads(self.out)


def settings_of(home: Path, **settings: str) -> dict[str, str]:
    """Return the settings of commands in ``home``, on free ports, as environment variables."""
    own = {
        "HOME": str(home),
        "GRPC_PORT": "0",
        "HTTPS_PORT": "0",
        "DEVELOPMENT_PROVIDER_PORT": "0",
        **settings,
    }
    return {f"CREDITGATE_{name}": value for name, value in own.items()}


def environment(home: Path, **settings: str) -> dict[str, str]:
    """Return an environment with these settings and none of the caller's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CREDITGATE_")}
    return kept | settings_of(home, **settings)


def creditgate(home: Path, *arguments: str | Path, **settings: str) -> Done:
    """Run ``creditgate`` as a program."""
    done = subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        cwd=home.parent,
        env=environment(home, **settings),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return sound(Done(done.returncode, done.stdout, done.stderr))


def creditgate_here(home: Path, *arguments: str | Path, **settings: str) -> Done:
    """Run ``creditgate`` in this process, which saves starting one; no failure may escape."""
    none: dict[str, str | None] = {
        name: None for name in os.environ if name.startswith("CREDITGATE_")
    }
    done = CliRunner().invoke(app, [*map(str, arguments)], env=none | settings_of(home, **settings))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
    return sound(Done(done.exit_code, done.stdout, done.stderr))


def sound(done: Done) -> Done:
    """Check that a command told of no defect, which no user should ever see."""
    assert "Traceback" not in done.told, done.told
    assert "Unexpected" not in done.out + done.told, done.out + done.told
    return done


@dataclass(frozen=True)
class Served:
    """A gateway that serves demo data, as ``serve --demo --json`` told."""

    home: Path
    told: dict[str, Any]

    def run(self, client_id: str, *arguments: str | Path) -> Done:
        """Run a command as one of its clients."""
        return creditgate_here(self.home, *arguments, PROFILE=str(self.profile(client_id)))

    def profile(self, client_id: str) -> Path:
        """Return the profile of one of its clients."""
        return self.home / "clients" / client_id / "profile.json"

    def answer(self, client_id: str, *arguments: str | Path) -> Any:
        """Return what a command that goes well prints as JSON."""
        done = self.run(client_id, *arguments, "--json")
        assert done.status == 0, done.out + done.told
        return done.json

    def refusal(self, client_id: str, *arguments: str | Path) -> str:
        """Return why a command is refused."""
        done = self.run(client_id, *arguments, "--json")
        assert done.status == 2, done.out + done.told
        return done.json["error"]["reason"]


@contextmanager
def served_demo(home: Path, **settings: str) -> Generator[Served]:
    """Run ``creditgate serve --demo`` while the context lasts, then end it by Ctrl-C."""
    log = home.parent / f"{home.name}.log"
    with log.open("w+", encoding="utf-8") as errors:
        process = subprocess.Popen(
            [*PROGRAM, "serve", "--demo", "--json"],
            env=environment(home, **settings),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        guard = threading.Timer(SECONDS, process.kill)
        guard.start()
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, log.read_text(encoding="utf-8")
            yield Served(home, json.loads(line))
            process.send_signal(signal.SIGINT)
            assert process.wait(SECONDS) == 0
        finally:
            guard.cancel()
            if process.poll() is None:
                process.kill()
                process.wait()
        assert "Traceback" not in log.read_text(encoding="utf-8")
