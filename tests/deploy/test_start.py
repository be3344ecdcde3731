"""What deploy/ starts starts: the same commands and environment, in folders of their own."""

import os
import re
import shutil
import socket
import subprocess
import time
import tomllib
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.clock import SystemClock
from gateway.pki.client_keys import make_assertion_key
from gateway.pki.development import (
    LOOPBACK,
    make_ca,
    make_client_certificate,
    make_server_certificate,
)
from tests.cli.commands import PROGRAM, SECONDS
from tests.deploy.files import DEPLOY, manifests
from tests.stores import PostgresStores

_CAPLESS = ("--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")


def _certified(folder: Path) -> None:
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


def free_port() -> str:
    """Return a port that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


@dataclass(frozen=True)
class _Place:
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


def _capless() -> list[str]:
    """Without what lets root write where it may not, where that can be had."""
    found = shutil.which("setpriv")
    return [found, *_CAPLESS] if found is not None and os.geteuid() == 0 else []


def _placed(value: str, places: dict[str, Path]) -> str:
    for there, here in places.items():
        value = value.replace(there, str(here))
    return value


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A working folder where nothing can be written."""
    folder = tmp_path / "bare"
    folder.mkdir(mode=0o555)
    return folder


def test_pod_is_set_up_and_serves_on_postgresql(
    postgres_stores: PostgresStores, bare: Path, tmp_path: Path
) -> None:
    certified = tmp_path / "etc"
    _certified(certified)
    with postgres_stores.database(migrated=False) as (database, home):
        (certified / "settings" / "creditgate.toml").write_text(f'database = "{database}"\n')
        places = {"/etc/creditgate": certified, "/var/lib/creditgate": home}
        data = manifests()["ConfigMap", "creditgate-settings"]["data"]
        environment = {name: _placed(value, places) for name, value in data.items()} | {
            "CREDITGATE_GRPC_PORT": free_port(),
            "CREDITGATE_HTTPS_PORT": free_port(),
            "PATH": os.environ["PATH"],
        }
        (setup,) = manifests()["Job", "creditgate-setup"]["spec"]["template"]["spec"]["containers"]
        place = _Place(environment, bare)
        for _ in range(2):
            place.do(*(_placed(word, places) for word in setup["args"]))
        shown = (
            f"--certificate={certified / 'administrator' / 'administrator.pem'}",
            f"--key={certified / 'probe.key'}",
        )
        with place.served(tmp_path / "log"):
            place.until_it_serves(*shown)


def test_service_of_one_host_serves(bare: Path, tmp_path: Path) -> None:
    certified = tmp_path / "etc"
    _certified(certified)
    unit = (DEPLOY / "systemd" / "creditgate@.service").read_text()
    (config,) = re.findall(r"^Environment=CREDITGATE_CONFIG=(.+)$", unit, re.M)
    settings = (DEPLOY / "systemd" / "creditgate.toml").read_text()
    for there, here in {
        "/etc/creditgate/server.pem": certified / "tls" / "tls.crt",
        "/etc/creditgate/server.key": certified / "tls" / "tls.key",
        "/etc/creditgate/clients-ca.pem": certified / "clients" / "ca.pem",
        "/var/lib/creditgate": tmp_path / "home",
    }.items():
        assert there in settings
        settings = settings.replace(there, str(here))
    placed = certified / Path(config).name
    placed.write_text(settings)
    assert "tls_key" in tomllib.loads(settings)
    environment = {
        "CREDITGATE_CONFIG": str(placed),
        "CREDITGATE_GRPC_PORT": free_port(),
        "CREDITGATE_HTTPS_PORT": free_port(),
        "PATH": os.environ["PATH"],
    }
    place = _Place(environment, bare, _capless())
    place.do(
        "init",
        f"--administrator-certificate={certified / 'administrator' / 'administrator.pem'}",
        f"--administrator-jwks={certified / 'administrator' / 'administrator.jwks.json'}",
    )
    with place.served(tmp_path / "log"):
        place.until_it_serves()
