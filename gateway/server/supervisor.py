"""The supervisor: a keeper that works in the background, and who serves beside it.

One worker serves in the supervisor's own process. More are processes on the same two ports: the
ports are held by sockets that never listen, so that they stay the gateway's while workers come
and go; the kernel spreads connections over them (SO_REUSEPORT).
"""

import asyncio
import json
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, ExitStack
from itertools import chain
from pathlib import Path
from typing import Final

import uvloop

from gateway.config import GatewayConfig
from gateway.oauth.connection import bound_socket
from gateway.server import keeper, worker
from gateway.server.line import Between
from gateway.server.process import Running, https_socket, serving_gateway
from gateway.server.supervised import Role, Supervised
from gateway.server.told import Told

_KEEPER: Final = Role("keeper", keeper.main, "gateway.server.keeper")
_WORKER: Final = Role("worker", worker.main, "gateway.server.worker")
_KEEPER_SECONDS: Final = 10.0
"""How long what the keeper is at may take to end."""


def serve(config: GatewayConfig, on_ready: Callable[[Running], None]) -> None:
    """Serve until SIGTERM or SIGINT, then drain; ``on_ready`` is called once it answers.

    A process that ends by itself is started again. This one must have one thread, for it is
    forked. Raises WorkerFailed when a process cannot stay up, and what `running_gateway` raises.
    """
    with ExitStack() as held:
        if config.workers == 1:
            https = held.enter_context(https_socket(config))
            config = _at(config, https_port=https)
            (line,), kept = _started(config, held)
            serving = _serve_alone(config, https, line, kept, on_ready)
        else:
            grpc = held.enter_context(bound_socket(config.grpc_host, config.grpc_port, shared=True))
            https = held.enter_context(https_socket(config))
            config = _at(config, grpc_port=grpc, https_port=https)
            lines, kept = _started(config, held)
            workers = [Supervised(_WORKER, Told(config, [line.fileno()])) for line in lines]
            for worker_ in workers:
                worker_.fork()
            serving = _serve(config, workers, kept, on_ready)
        uvloop.run(serving)


def _started(config: GatewayConfig, held: ExitStack) -> tuple[Sequence[socket.socket], Supervised]:
    """Return the ends of each worker's line to the keeper, and the keeper, forked.

    Both ends are held here: they stay the same whichever process comes and goes.
    """
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(config.workers)]
    for end in chain(*pairs):
        held.enter_context(end)
    kept = Supervised(_KEEPER, Told(config, [theirs.fileno() for _, theirs in pairs]))
    kept.fork()
    return [ours for ours, _ in pairs], kept


async def _serve_alone(
    config: GatewayConfig,
    https: socket.socket,
    end: socket.socket,
    kept: Supervised,
    on_ready: Callable[[Running], None],
) -> None:
    stop = _stop_event()
    async with AsyncExitStack() as stack:
        # Whoever serves drains first: the keeper follows what was served to the last.
        stack.push_async_callback(kept.stop, _KEEPER_SECONDS)
        line = Between([end])
        stack.callback(line.close)
        line.open()
        running = await stack.enter_async_context(serving_gateway(config, line, https))
        await kept.start()
        on_ready(running)
        await _until_stopped([kept], stop)


async def _serve(
    config: GatewayConfig,
    workers: Sequence[Supervised],
    kept: Supervised,
    on_ready: Callable[[Running], None],
) -> None:
    stop = _stop_event()
    try:
        _, *places = await asyncio.gather(*(child.start() for child in (kept, *workers)))
        place = json.loads(places[0])
        on_ready(
            Running(place["grpc"], place["issuer"], Path(place["ca"]) if place["ca"] else None)
        )
        await _until_stopped([kept, *workers], stop)
    finally:
        await asyncio.gather(*(worker_.stop(config.drain_seconds) for worker_ in workers))
        await kept.stop(_KEEPER_SECONDS)


def _at(config: GatewayConfig, **ports: socket.socket) -> GatewayConfig:
    """Return the settings with the ports that sockets have."""
    return config.model_copy(update={name: held.getsockname()[1] for name, held in ports.items()})


def _stop_event() -> asyncio.Event:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _until_stopped(children: Sequence[Supervised], stop: asyncio.Event) -> None:
    waits = [asyncio.create_task(child.keep_up()) for child in children]
    stopped = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait((*waits, stopped), return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in (*waits, stopped):
            task.cancel()
