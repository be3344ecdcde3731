"""The command run as a program of its own, and a gateway served by it."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from typer.main import get_command
from typer.testing import CliRunner

from gateway.cli.main import app
from tests.cli import forked_command
from tests.forking import COMMAND, IN_ORDER, nursery

PROGRAM = (sys.executable, "-m", "gateway.cli")
SECONDS = 120
EVERY = get_command(app)
"""All commands, put together once: that takes longer than most of them."""


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


def creditgate_forked(home: Path, *arguments: str | Path, **settings: str) -> Done:
    """Run ``creditgate`` in a process of its own that has the code already: for what would serve
    if it were not refused."""
    told = forked_command.told([*map(str, arguments)], environment(home, **settings))
    with TemporaryFile("w+", encoding="utf-8") as errors:
        process = nursery().begun(told, COMMAND, errors.fileno())
        try:
            status, out = ending(process.rest(SECONDS))
        finally:
            process.kill()
        errors.seek(0)
        return sound(Done(status, out, errors.read()))


def ending(said: bytes) -> tuple[int, str]:
    """Return the status of a forked command, and what it printed, from all that it said."""
    out, _, last = said.decode().rstrip("\n").rpartition("\n")
    if f"{last}\n".encode() == IN_ORDER:
        return 0, out
    return int(last.removeprefix(forked_command.FAILED)), out


def creditgate_here(home: Path, *arguments: str | Path, **settings: str) -> Done:
    """Run ``creditgate`` in this process, which saves starting one; no failure may escape."""
    none: dict[str, str | None] = {
        name: None for name in os.environ if name.startswith("CREDITGATE_")
    }
    return sound(run_here(*map(str, arguments), env=none | settings_of(home, **settings)))


def run_here(*arguments: str, env: Mapping[str, str | None] | None = None) -> Done:
    """Run ``creditgate`` in this process, with changes of the environment."""
    status: Any = 0
    with CliRunner().isolation(env=env) as (out, told, _):
        try:
            EVERY.main(args=arguments, prog_name="creditgate")
        except SystemExit as ended:
            status = ended.code or 0
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        return Done(status, out.getvalue().decode(), told.getvalue().decode())


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
    told = forked_command.told(("serve", "--demo", "--json"), environment(home, **settings))
    with log.open("w+", encoding="utf-8") as errors:
        process = nursery().begun(told, COMMAND, errors.fileno())
        guard = threading.Timer(SECONDS, process.kill)
        guard.start()
        try:
            line = process.line()
            # It lasts as long as its tests do: what is guarded is its start.
            guard.cancel()
            assert line, log.read_text(encoding="utf-8")
            yield Served(home, json.loads(line))
            process.send(signal.SIGINT)
            assert process.rest(SECONDS).endswith(IN_ORDER)
        finally:
            guard.cancel()
            process.kill()
            process.rest(SECONDS)
        assert "Traceback" not in log.read_text(encoding="utf-8")
