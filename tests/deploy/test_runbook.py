"""What the page of operations says of one host is done as it is written there.

Commands of the gateway are run, in folders that stand for those of the host; of systemd's own only
what its files say is done.
"""

import os
import re
import shlex
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.demo.ports import free_port
from tests.cli.commands import PROGRAM, SECONDS
from tests.deploy.files import DEPLOY, ROOT
from tests.deploy.places import Place, capless, certify, moved

_AS_USER = "runuser -u creditgate -- "
_PROGRAM = re.compile(r"/opt/creditgate/\w+/bin/creditgate (?=\w)")
_BLOCK = re.compile(r"^( *)```sh\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def _commands() -> list[str]:
    """Return the commands of the page that run the gateway's program from its place."""
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    lines = "".join(block for _, block in _BLOCK.findall(page)).replace("\\\n", "").splitlines()
    return [" ".join(line.split()) for line in lines if _PROGRAM.search(line)]


def _unit(name: str) -> str:
    return (DEPLOY / "systemd" / name).read_text(encoding="utf-8")


@dataclass(frozen=True)
class _Host:
    """A folder that stands for a host on which nobody has started anything yet."""

    root: Path
    folder: Path

    @property
    def folders(self) -> dict[str, Path]:
        """The host's folders, and where they are here."""
        return {name: self.root / name[1:] for name in ("/etc/creditgate", "/var/lib", "/opt")}

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"]}

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the page, without what lets root write where it may not."""
        through = "".join(f"{word} " for word in capless())
        return subprocess.run(
            ["sh", "-c", moved(command.replace(_AS_USER, through), self.folders)],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def do(self, command: str) -> None:
        """Run a command of the page that goes well, at once or after a while."""
        over = time.monotonic() + SECONDS
        while (done := self.run(command)).returncode:
            waited = command.endswith(" health") and time.monotonic() < over
            assert waited, done.stdout + done.stderr


@pytest.fixture
def host(bare: Path, tmp_path: Path) -> _Host:
    """A host with the program, its settings and what they name, as the page has them put."""
    host = _Host(tmp_path / "root", bare)
    certify(tmp_path / "made")
    settings = host.folders["/etc/creditgate"]
    settings.mkdir(parents=True)
    for made, name in {
        "tls/tls.crt": "server.pem",
        "tls/tls.key": "server.key",
        "clients/ca.pem": "clients-ca.pem",
        "administrator/administrator.pem": "administrator.pem",
        "administrator/administrator.jwks.json": "administrator.jwks.json",
    }.items():
        shutil.copy(tmp_path / "made" / made, settings / name)
    text = moved(_unit("creditgate.toml"), host.folders)
    for port in ("50051", "8443"):
        text = re.sub(rf"(?<=_port = ){port}", str(free_port()), text)
    (settings / "creditgate.toml").write_text(text, encoding="utf-8")
    for place in "ab":
        program = host.folders["/opt"] / "creditgate" / place / "bin" / "creditgate"
        program.parent.mkdir(parents=True)
        program.write_text(f'#!/bin/sh\nexec {shlex.join(PROGRAM)} "$@"\n')
        program.chmod(0o755)
    _make_folders(host)
    return host


def _make_folders(host: _Host) -> None:
    """Make the folders that systemd-tmpfiles makes below /var/lib, and let nobody make more."""
    below = host.folders["/var/lib"]
    below.mkdir(parents=True)
    for line in _unit("creditgate.tmpfiles.conf").splitlines():
        if line.startswith("d /var/lib/"):
            _, path, mode, user, group, _ = line.split()
            assert (user, group) == ("creditgate", "creditgate")
            Path(moved(path, host.folders)).mkdir(mode=int(mode, 8))
    below.chmod(0o555)


def test_every_command_is_run_as_the_gateways_user_with_the_units_settings() -> None:
    unit = _unit("creditgate@.service")
    (user,) = re.findall(r"^User=(.+)$", unit, re.MULTILINE)
    (config,) = re.findall(r"^Environment=(.+)$", unit, re.MULTILINE)
    assert _commands()
    for command in _commands():
        assert re.match(rf"runuser -u {user} -- env {config} /opt/", command), command


def test_the_commands_set_one_host_up_and_take_another_version_over(
    host: _Host, tmp_path: Path
) -> None:
    setup, serves, *takeover = _commands()
    host.do(setup)
    config = str(host.folders["/etc/creditgate"] / "creditgate.toml")
    served = Place(host.environment | {"CREDITGATE_CONFIG": config}, host.folder, capless())
    with served.served(tmp_path / "log"):
        host.do(serves)
        for command in takeover:
            host.do(command)
    assert (host.folders["/var/lib"] / "creditgate" / "authority.db").exists()
