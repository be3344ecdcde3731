"""HTTPS for the authorisation server: TLS, the peer's certificate, an embeddable server."""

import asyncio
import socket
import ssl
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

PEER_CERTIFICATE: Final = "peer_certificate"
"""Key of ``scope["state"]`` under which the peer's DER certificate is found, if it sent one."""

_MOST_HEADER_BYTES: Final = 16_384
_MOST_CONNECTIONS: Final = 1_024
_DRAIN_SECONDS: Final = 5
# BCP 195 (RFC 9325) section 4.2; FAPI 2.0 section 5.2.1 allows no others with TLS 1.2.
_TLS12_CIPHERS: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
)


class CertificateProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol, telling the application who is at the other end.

    uvicorn has no setting for it and fills no TLS extension of the scope. Each request
    gets a copy of ``app_state`` as ``scope["state"]``, so giving this connection an
    ``app_state`` of its own is enough, and touches no request handling.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Remember the certificate the TLS handshake ended with."""
        super().connection_made(transport)
        tls = cast("ssl.SSLObject | None", transport.get_extra_info("ssl_object"))
        certificate = None if tls is None else tls.getpeercert(binary_form=True)
        self.app_state = {**self.app_state, PEER_CERTIFICATE: certificate}


class EmbeddedServer(uvicorn.Server):
    """A uvicorn server that leaves signals to the program it runs in.

    Run ``serve(sockets=[...])`` as a task; set ``should_exit`` to drain and end it.
    """

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture none."""
        yield


def tls_context(certificate: Path, key: Path, client_ca: Path) -> ssl.SSLContext:
    """Return the server's TLS settings: 1.2 or newer, client certificates of ``client_ca``.

    A certificate is asked for and checked, but may be left out: metadata and keys are
    public. The token endpoint refuses connections without one.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_TLS12_CIPHERS)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(client_ca)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def bound_socket(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Return a socket bound to ``host``:``port`` (0: any free port).

    ``shared`` lets several processes bind it, the kernel spreading connections over
    them. Raises OSError when the address is taken; uvicorn itself would end the program.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named, or asyncio does not see that it is TCP and leaves Nagle's delay of 40 ms on.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def build_http_server(app: ASGIApp, tls: ssl.SSLContext) -> EmbeddedServer:
    """Return the server for ``app``, to be run on sockets of `bound_socket`."""
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=CertificateProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        h11_max_incomplete_event_size=_MOST_HEADER_BYTES,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
        ssl_context_factory=lambda _config, _default: tls,
    )
    return EmbeddedServer(config)
