"""`creditgate health` tells a gateway that serves from one that does not, and names the cause."""

import asyncio
import ssl
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway.demo.ports import free_port
from gateway.pki.development import (
    Issued,
    make_ca,
    make_client_certificate,
    make_server_certificate,
)
from tests.cli.commands import Done, creditgate_here
from tests.installation import OPERATOR_CLIENT, Gateway, Installation

_DAY = 86_400


def _written(at: Path, issued: Issued) -> dict[str, Path]:
    """Write a server's certificate and key; return the settings that name them."""
    issued.write(at / "server.pem", at / "server.key")
    return {"tls_certificate": at / "server.pem", "tls_key": at / "server.key"}


def _by_grpc(home: Path) -> list[str | Path]:
    folder = home / "clients" / OPERATOR_CLIENT
    return ["--certificate", folder / "certificate.pem", "--key", folder / "key.pem"]


async def _asked(gateway: Gateway, home: Path, *words: str | Path, **files: Path) -> Done:
    at = {
        "HTTPS_PORT": str(urlsplit(gateway.running.issuer).port),
        "GRPC_PORT": gateway.running.grpc.rpartition(":")[2],
        **{name.upper(): str(file) for name, file in files.items()},
    }
    return await asyncio.to_thread(creditgate_here, home, "health", *words, **at)


async def test_a_gateway_whose_file_has_another_certificate_by_now_serves_still(
    embedded: Installation, tmp_path: Path
) -> None:
    now = int(time.time())
    ca = make_ca("root", now)
    files = _written(tmp_path, make_server_certificate(ca, now))
    by_grpc = _by_grpc(embedded.folder)
    async with embedded.running(**files) as gateway:
        done = await _asked(gateway, embedded.folder, *by_grpc, **files)
        assert (done.status, done.out) == (0, "The gateway serves.\n"), done.told
        # As authorities do: by another intermediate, which nobody has told of.
        _written(tmp_path, make_server_certificate(make_ca("next", now), now))
        done = await _asked(gateway, embedded.folder, *by_grpc, "--json", **files)
    assert done.status == 0, done.out
    assert done.json["asked"] == ["https", "grpc"]
    assert done.json["unwell"].startswith("It serves by another certificate (until ")
    assert str(files["tls_certificate"]) in done.json["unwell"]


async def test_a_certificate_that_is_over_is_told_as_that(
    embedded: Installation, tmp_path: Path
) -> None:
    begun = int(time.time()) - 400 * _DAY
    files = _written(tmp_path, make_server_certificate(make_ca("root", begun), begun))
    async with embedded.running(**files) as gateway:
        done = await _asked(gateway, embedded.folder, **files)
        assert done.status == 0, done.told
        assert "The server's certificate (tls_certificate) ended at " in done.out
        done = await _asked(gateway, embedded.folder, *_by_grpc(embedded.folder), **files)
    assert done.status == 1
    assert "asked by gRPC. The server's certificate (tls_certificate) ended at " in done.told


@pytest.mark.parametrize("own", [True, False])
async def test_another_gateway_is_not_taken_for_this_one(
    embedded: Installation, tmp_path: Path, own: bool
) -> None:
    now = int(time.time())
    ca = make_ca("root", now)
    other = tmp_path / "other"
    other.mkdir()
    files = _written(tmp_path, make_server_certificate(ca, now, ["gate.example"]))
    async with embedded.running(**_written(other, make_server_certificate(ca, now))) as gateway:
        given = files if own else {}
        done = await _asked(gateway, embedded.folder, **given)
    assert done.status == 1
    assert "another certificate, for 127.0.0.1, localhost by CN=root" in done.told


async def test_grpc_tells_why_a_clients_certificate_is_refused(
    embedded: Installation, tmp_path: Path
) -> None:
    now = int(time.time())
    stranger = tmp_path / "stranger.pem", tmp_path / "stranger.key"
    make_client_certificate(make_ca("root", now), "stranger", now).write(*stranger)
    async with embedded.running() as gateway:
        words = ("--certificate", stranger[0], "--key", stranger[1])
        done = await _asked(gateway, embedded.folder, *words)
    assert done.status == 1
    assert f"{stranger[0]} is of no authority of client_ca" in done.told


class _Other(BaseHTTPRequestHandler):
    """Answers everything well, as no gateway does."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
        """Say nothing."""


@contextmanager
def _other_program(files: dict[str, Path] | None) -> Generator[str]:
    """Serve another program, by TLS where ``files`` are given; give its port."""
    server = HTTPServer(("127.0.0.1", 0), _Other)
    if files is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(files["tls_certificate"], files["tls_key"])
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield str(server.server_port)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("tls", "said"), [(True, "is no gateway"), (False, "[SSL: WRONG_VERSION_NUMBER]")]
)
def test_another_program_at_the_port_is_no_gateway(tmp_path: Path, tls: bool, said: str) -> None:
    now = int(time.time())
    files = _written(tmp_path, make_server_certificate(make_ca("root", now), now))
    with _other_program(files if tls else None) as port:
        named = {name.upper(): str(file) for name, file in files.items()}
        done = creditgate_here(tmp_path / "home", "health", HTTPS_PORT=port, **named)
    assert done.status == 1
    assert said in done.told


def test_where_nobody_listens_that_is_told(tmp_path: Path) -> None:
    now, port = int(time.time()), str(free_port())
    files = _written(tmp_path, make_server_certificate(make_ca("root", now), now))
    named = {name.upper(): str(file) for name, file in files.items()}
    done = creditgate_here(tmp_path / "home", "health", HTTPS_PORT=port, **named)
    assert done.status == 1
    assert f"https://127.0.0.1:{port}: [Errno 111] Connection refused" in done.told
