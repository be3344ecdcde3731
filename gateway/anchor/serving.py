"""Serving an anchor over HTTPS, in one process: it answers few and small questions."""

import asyncio
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import uvloop

from gateway.anchor.app import anchor_app, news_waiting
from gateway.anchor.desk import AnchorDesk
from gateway.anchor.home import AnchorHome
from gateway.clock import Clock, SystemClock
from gateway.oauth.connection import bound_socket, build_http_server, tls_context


@asynccontextmanager
async def running_anchor(
    home: AnchorHome,
    host: str,
    port: int,
    certificate: Path | None = None,
    key: Path | None = None,
    clock: Clock | None = None,
) -> AsyncGenerator[int]:
    """Serve while the context lasts; gives the port, ``port`` 0 taking any free one.

    ``certificate`` and ``key`` are PEM files, those of the anchor's own development CA where
    None. Raises NoAnchor, and OSError where an address is taken or a file is missing.
    """
    desk = AnchorDesk(home, clock or SystemClock())
    waiting = news_waiting(desk)
    tls = tls_context(certificate or home.certificate, key or home.certificate_key, None)
    bound = bound_socket(host, port)
    server = build_http_server(anchor_app(desk, waiting), tls)
    serving = await server.begin(bound, "anchor")
    try:
        yield bound.getsockname()[1]
    finally:
        waiting.end()
        server.stop()
        await serving


def serve(
    home: AnchorHome,
    host: str,
    port: int,
    certificate: Path | None,
    key: Path | None,
    on_ready: Callable[[int], None],
) -> None:
    """Serve until SIGTERM or SIGINT; ``on_ready`` is given the port. Raises as above."""

    async def until_stopped() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with running_anchor(home, host, port, certificate, key) as taken:
            on_ready(taken)
            await stop.wait()

    uvloop.run(until_stopped())
