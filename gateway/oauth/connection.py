"""HTTPS for the authorisation server: TLS, the peer's certificate, an embeddable server."""

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from operator import itemgetter
from pathlib import Path
from typing import Final, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from gateway.oauth.door import Door

PEER_CERTIFICATE: Final = "peer_certificate"
"""Key of ``scope["state"]`` under which the peer's DER certificate is found, if it sent one."""

_MOST_HEADER_BYTES: Final = 16_384
_MOST_CONNECTIONS: Final = 1_024
# uvicorn refuses at its limit; it must not be met while evicted connections still close.
_CLOSING_CONNECTIONS: Final = 128
_DRAIN_SECONDS: Final = 5
_DRAIN_LOOK_SECONDS: Final = 0.005
# uvicorn makes the Date header anew at each tenth tick.
_TICK_SECONDS: Final = 0.1
HEAD_SECONDS: Final = 10
"""How long a connection may take to begin a request, and from there to send the rest of it, in
seconds. Requests are small: forms, and lists of tokens."""
# FAPI 2.0 section 5.2.3: browsers must not be led off TLS. Two years, as is usual.
_HSTS_SECONDS: Final = 2 * 365 * 86_400
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

    Connections that ask for nothing, or never for all of it, cost their peer nothing, so they
    must not keep others out: each is closed after `HEAD_SECONDS`, and when there are too many, one
    makes room: of the address that has most, that which has been waited for longest.
    """

    _silence: asyncio.TimerHandle | None = None
    _begun: RequestResponseCycle | None = None
    _given_up = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Remember the certificate the TLS handshake ended with."""
        super().connection_made(transport)
        tls = cast("ssl.SSLObject | None", transport.get_extra_info("ssl_object"))
        certificate = None if tls is None else tls.getpeercert(binary_form=True)
        self.app_state = {**self.app_state, PEER_CERTIFICATE: certificate}
        self._watch()
        most = cast("int", self.limit_concurrency) - _CLOSING_CONNECTIONS
        if len(self.connections) > most:
            # One that was given up counts no more, though its end takes TLS a moment.
            standing = [each for each in self.connections if not _is_over(each)]
            if len(standing) > most:
                _make_room(standing)

    def data_received(self, data: bytes) -> None:
        """Take bytes in, and mind whether they are a request."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._watch()

    def shutdown(self) -> None:
        """Close the connection behind the answer under way, if any.

        The answer says so, where nothing of it was sent yet: its peer closes then too. TLS waits
        for that, and whoever takes the connection for one to ask again on does not look.
        """
        super().shutdown()
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is not None:
            cycle.default_headers = [*cycle.default_headers, CLOSE_HEADER]

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        self._stop_watching()

    @property
    def silent_since(self) -> float | None:
        """Since when it has been waited for the begin or the rest of a request, by the loop's
        clock; None while one is answered."""
        return None if self._silence is None else self._silence.when() - HEAD_SECONDS

    @property
    def is_answering(self) -> bool:
        """Whether its peer may still be given something."""
        return not self._given_up and self.silent_since is None

    def give_up(self) -> None:
        """Close the connection at once; one that is being closed ends by the time TLS gives that."""
        self._given_up = True
        self._stop_watching()
        if not self.transport.is_closing():
            self.transport.abort()

    def _watch(self) -> None:
        # Before the first request there is none, whatever uvicorn's annotation says.
        cycle = cast("RequestResponseCycle | None", self.cycle)
        is_open = cycle is not None and not cycle.response_complete
        is_whole = cycle is None or not cycle.more_body
        if self.transport.is_closing() or (is_open and is_whole):
            self._stop_watching()
            return
        if is_open and cycle is not self._begun:
            self._begun = cycle
            self._stop_watching()
        if self._silence is None:
            # Bytes that neither begin nor end a request do not start the time anew.
            self._silence = self.loop.call_later(HEAD_SECONDS, self.give_up)

    def _stop_watching(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None


def _silent(connections: Iterable[object]) -> list[CertificateProtocol]:
    """Return the connections on which no whole request has come, the longest silent first."""
    silent = [
        (since, connection)
        for connection in connections
        if isinstance(connection, CertificateProtocol)
        and (since := connection.silent_since) is not None
    ]
    return [connection for _, connection in sorted(silent, key=itemgetter(0))]


def _make_room(connections: Iterable[object]) -> None:
    """Close the connection that has been silent longest of those from the address that has most of
    all, if any is."""
    silent = _silent(connections)
    most = Counter(map(_address, silent)).most_common(1)
    for address, _ in most:
        next(each for each in silent if _address(each) == address).give_up()


def _is_over(connection: object) -> bool:
    return isinstance(connection, CertificateProtocol) and connection.transport.is_closing()


def _is_answering(connection: object) -> bool:
    return not isinstance(connection, CertificateProtocol) or connection.is_answering


def _address(connection: CertificateProtocol) -> str:
    return connection.client[0] if connection.client else ""


class EmbeddedServer(uvicorn.Server):
    """A uvicorn server that leaves signals to the program it runs in, and ends when told.

    `begin` it, or run ``serve(sockets=[...])`` as a task; `stop` drains and ends it. uvicorn's own
    looks ten times a second whether it is to end and whether it may, and pauses in between.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._told = asyncio.Event()
        self._begun = asyncio.Event()
        self._doors: list[Door] = []

    async def begin(self, bound: socket.socket, name: str) -> "asyncio.Task[None]":
        """Return the task, called ``name``, that serves at ``bound`` from now on.

        Raises OSError where it cannot listen: another that was bound to the same address does.
        """
        serving = asyncio.create_task(self.serve(sockets=[bound]), name=name)
        serving.add_done_callback(lambda _: self._begun.set())
        await self._begun.wait()
        if not self.started:
            await serving
        return serving

    def stop(self) -> None:
        """Take no more connections; end when the open requests are answered."""
        self.should_exit = True
        self._told.set()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture none."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen. uvicorn's own bounds neither the time nor the number of handshakes."""
        config = self.config

        def protocol() -> asyncio.Protocol:
            return CertificateProtocol(config, self.server_state, {})

        most = cast("int", config.limit_concurrency) - _CLOSING_CONNECTIONS
        for bound in sockets or ():
            tls = cast("ssl.SSLContext", config.ssl)
            door = Door(bound, tls, protocol, max(1, most // 2))
            door.open(config.backlog)
            self._doors.append(door)
        self.started = True
        self._begun.set()

    async def main_loop(self) -> None:
        """Keep uvicorn's time until told to end."""
        tick = 0
        while not await self.on_tick(tick):
            tick += 1
            with suppress(TimeoutError):
                async with asyncio.timeout(_TICK_SECONDS):
                    await self._told.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let open requests be answered, for `_DRAIN_SECONDS` at most, and end.

        Silent connections are closed and not waited for: their peers may not look before
        they ask again, and until then TLS is not over for uvicorn.
        """
        for door in self._doors:
            await door.close()
        for bound in sockets or ():
            bound.close()
        state = self.server_state
        silent = {each for each in state.connections if not _is_answering(each)}
        for connection in tuple(state.connections):
            connection.shutdown()
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                # uvicorn tells nobody when they are gone.
                while state.tasks or state.connections - silent:  # noqa: ASYNC110
                    await asyncio.sleep(_DRAIN_LOOK_SECONDS)
        for task in tuple(state.tasks):
            task.cancel()
        for connection in tuple(state.connections):
            # Early CPython 3.11 cannot abort what was closed twice: it is ending.
            with suppress(AttributeError):
                connection.transport.abort()


def tls_context(certificate: Path, key: Path, client_ca: Path | None) -> ssl.SSLContext:
    """Return the server's TLS settings: 1.2 or newer, client certificates of ``client_ca``.

    A certificate is asked for and checked, but may be left out: metadata and keys are
    public. The token endpoint refuses connections without one. Without ``client_ca`` none is
    asked for.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_TLS12_CIPHERS)
    context.load_cert_chain(certificate, key)
    if client_ca is not None:
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


def build_http_server(
    app: ASGIApp, tls: ssl.SSLContext, most_connections: int | None = None
) -> EmbeddedServer:
    """Return the server for ``app``, to be run on sockets of `bound_socket`.

    ``most_connections`` may be open at once, 1,024 where nothing is said, and half as many more
    at their handshake.
    """
    most = _MOST_CONNECTIONS if most_connections is None else most_connections
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=CertificateProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        headers=[("Strict-Transport-Security", f"max-age={_HSTS_SECONDS}")],
        h11_max_incomplete_event_size=_MOST_HEADER_BYTES,
        # Longer than clients keep one (httpx 5 s, undici 4 s): else one is closed while it is used.
        timeout_keep_alive=HEAD_SECONDS,
        limit_concurrency=most + _CLOSING_CONNECTIONS,
        ssl_context_factory=lambda _config, _default: tls,
    )
    return EmbeddedServer(config)
