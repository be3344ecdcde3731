"""Where commands of ours are run as deploy/ runs them, and what an installation brings there."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.clock import SystemClock
from gateway.pki.client_keys import make_assertion_key
from gateway.pki.development import (
    LOOPBACK,
    make_ca,
    make_client_certificate,
    make_server_certificate,
)
from tests.cli.commands import PROGRAM, SECONDS

_CAPLESS = ("--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")


def certify(folder: Path) -> None:
    """Make what an installation brings: its certificates, and the first administrator's keys."""
    now = SystemClock().now()
    for name in ("tls", "clients", "administrator", "settings"):
        (folder / name).mkdir(parents=True)
    ca = make_ca("clients", now)
    ca.write(folder / "clients" / "ca.pem", folder / "ca.key")
    server = make_server_certificate(ca, now, LOOPBACK)
    server.write(folder / "tls" / "tls.crt", folder / "tls" / "tls.key")
    administrator = make_client_certificate(ca, "administrator", now)
    administrator.write(folder / "administrator" / "administrator.pem", folder / "probe.key")
    jwks = folder / "administrator" / "administrator.jwks.json"
    jwks.write_text(make_assertion_key().jwks)


@dataclass(frozen=True)
class Place:
    """Where commands run: by which environment, in which folder, started through what."""

    environment: dict[str, str]
    folder: Path
    through: Sequence[str] = ()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of ours."""
        return subprocess.run(
            [*self.through, *PROGRAM, *arguments],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def do(self, *arguments: str) -> None:
        """Run a command of ours that goes well."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr

    @contextmanager
    def served(self, log: Path) -> Generator[None]:
        """Run ``creditgate serve`` while the context lasts, then end it as its supervisors do."""
        with log.open("w") as errors:
            process = subprocess.Popen(
                [*self.through, *PROGRAM, "serve"],
                env=self.environment,
                cwd=self.folder,
                stdout=errors,
                stderr=errors,
            )
        try:
            yield
            process.terminate()
            assert process.wait(SECONDS) == 0, log.read_text()
        finally:
            process.kill()
            process.wait()

    def until_it_serves(self, *arguments: str) -> None:
        """Wait until ``creditgate health`` says so, asked once somebody listens."""
        over = time.monotonic() + SECONDS
        while not self._listens() and time.monotonic() < over:
            time.sleep(0.05)
        while (done := self.run("health", *arguments)).returncode:
            assert time.monotonic() < over, done.stdout + done.stderr

    def _listens(self) -> bool:
        port = int(self.environment["CREDITGATE_GRPC_PORT"])
        with socket.socket() as caller:
            return caller.connect_ex(("127.0.0.1", port)) == 0


def capless() -> list[str]:
    """Without what lets root write where it may not, where that can be had."""
    found = shutil.which("setpriv")
    return [found, *_CAPLESS] if found is not None and os.geteuid() == 0 else []


def moved(value: str, places: dict[str, Path]) -> str:
    """Return a text with folders of this machine in the place of those it names."""
    for there, here in places.items():
        value = value.replace(there, str(here))
    return value
