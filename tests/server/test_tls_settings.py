"""A file of the TLS settings that cannot be used is told by its setting and its name."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from gateway.config import ConfigRefused, GatewayConfig
from gateway.pki.development import make_ca, make_server_certificate
from gateway.server.tls_settings import require_tls_files
from tests.cli.commands import creditgate_here
from tests.installation import Installation, settings_line

_NOW = 1_800_000_000


@pytest.fixture(name="files")
def _files(tmp_path: Path) -> Path:
    """A folder with two servers' certificates and keys, their CA, and what is none."""
    ca = make_ca("root", _NOW)
    ca.write(tmp_path / "ca.pem", tmp_path / "ca.key")
    for name in ("one", "other"):
        issued = make_server_certificate(ca, _NOW)
        issued.write(tmp_path / f"{name}.pem", tmp_path / f"{name}.key")
    key = serialization.load_pem_private_key((tmp_path / "one.key").read_bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    (tmp_path / "locked.key").write_bytes(locked)
    certificate = (tmp_path / "ca.pem").read_bytes()
    (tmp_path / "half.pem").write_bytes(certificate + certificate[: len(certificate) // 2])
    (tmp_path / "none.pem").write_text("no certificate\n", encoding="utf-8")
    return tmp_path


def _set(files: Path, **names: str) -> GatewayConfig:
    usual = {"tls_certificate": "one.pem", "tls_key": "one.key", "client_ca": "ca.pem"}
    given = {setting: files / name for setting, name in (usual | names).items()}
    return GatewayConfig(home=files / "home", **given)  # pyright: ignore[reportArgumentType]


def test_files_that_fit_are_taken(files: Path) -> None:
    require_tls_files(_set(files))


@pytest.mark.parametrize(
    ("setting", "name", "said"),
    [
        ("tls_certificate", "none.pem", "holds no certificate"),
        ("tls_certificate", "absent.pem", "cannot be read"),
        ("tls_key", "none.pem", "holds no private key"),
        ("tls_key", "one.pem", "holds no private key"),
        ("tls_key", "locked.key", "password"),
        ("tls_key", "other.key", "is not the key of tls_certificate"),
        ("client_ca", "none.pem", "holds no certificate"),
        ("client_ca", "half.pem", "or a broken one"),
        ("oidc_ca", "half.pem", "or a broken one"),
        ("oidc_ca", "absent.pem", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_with_its_setting(
    files: Path, setting: str, name: str, said: str
) -> None:
    with pytest.raises(ConfigRefused) as caught:
        require_tls_files(_set(files, **{setting: name}))
    (line,) = str(caught.value).splitlines()[1:]
    assert line.startswith(f"  {setting}: {files / name} ")
    assert said in line


def test_a_gateway_does_not_begin_with_the_key_of_another_certificate(files: Path) -> None:
    done = creditgate_here(
        files / "home",
        "serve",
        TLS_CERTIFICATE=str(files / "one.pem"),
        TLS_KEY=str(files / "other.key"),
    )
    assert done.status == 1
    assert f"tls_key: {files / 'other.key'}" in done.told
    assert not (files / "home").exists()


@pytest.mark.parametrize("written", ["half", "absent"])
@pytest.mark.parametrize("setting", ["tls_certificate", "client_ca"])
async def test_a_process_that_starts_in_anothers_place_tells_the_file_in_one_line(
    embedded: Installation, files: Path, setting: str, written: str
) -> None:
    given = {"tls_certificate": "one.pem", "tls_key": "one.key", "client_ca": "ca.pem"}
    own = {name: files / file for name, file in given.items()}
    if written == "half":
        own[setting].write_bytes(own[setting].read_bytes()[:-100])
    else:
        own[setting].unlink()
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.server.worker"), stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    told = settings_line(embedded.config.model_copy(update=own))
    out, said = await asyncio.wait_for(child.communicate(told), 60)
    assert (child.returncode, out) == (1, b"")
    (line,) = said.decode().splitlines()
    assert f"The files of the settings are not right: {setting}: {own[setting]} " in line
