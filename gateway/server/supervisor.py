"""The supervisor: a keeper that works in the background, and who serves beside it.

One worker serves in the supervisor's own process. More are processes on the same two ports: the
ports are held by sockets that never listen, so that they stay the gateway's while workers come
and go; the kernel spreads connections over them (SO_REUSEPORT).
"""

import asyncio
import json
import signal
import socket
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import uvloop

from gateway.config import GatewayConfig
from gateway.oauth.connection import bound_socket
from gateway.server import keeper, worker
from gateway.server.files import raise_limit
from gateway.server.line import Between
from gateway.server.memory import collect_rarely, keep_loaded
from gateway.server.patience import Patience
from gateway.server.policies import Policies
from gateway.server.process import Running, https_socket, serving_gateway
from gateway.server.pulse import felt_pulse
from gateway.server.supervised import Role, Supervised
from gateway.server.told import Told
from gateway.server.watchdog import watched

_Given = TypeVar("_Given")
_KEEPER: Final = Role("keeper", keeper.main, "gateway.server.keeper")
_WORKER: Final = Role("worker", worker.main, "gateway.server.worker")
_KEEPER_SECONDS: Final = 10.0
"""How long what the keeper is at may take to end."""


def serve(config: GatewayConfig, on_ready: Callable[[Running], None]) -> None:
    """Serve until SIGTERM or SIGINT, then drain; ``on_ready`` is called once it answers.

    A process that ends by itself is started again, and so is one that hangs: its pulse, which
    tells that its event loop turns, is not felt for `pulse.LOST_SECONDS`. This one must
    have one thread, for it is forked; whoever started it may watch it by its own pulse
    (`gateway.server.watchdog`). Raises WorkerFailed when no process of a role stays up,
    and what `running_gateway` raises.
    """
    policies = Policies.read(config)
    raise_limit()
    keep_loaded()
    with ExitStack() as held:
        if config.workers == 1:
            https = held.enter_context(https_socket(config))
            config = _at(config, https_port=https)
            (line,), kept = _started(config, policies, held, lines=1)
            serving = _serve_alone(config, policies, https, line, kept, on_ready)
        else:
            grpc = held.enter_context(bound_socket(config.grpc_host, config.grpc_port, shared=True))
            https = held.enter_context(https_socket(config))
            config = _at(config, grpc_port=grpc, https_port=https)
            # The first is the supervisor's own: it feels the keeper's pulse.
            (line, *lines), kept = _started(config, policies, held, lines=config.workers + 1)
            patience = Patience(_WORKER.name, time.monotonic())
            # One each: they say much by the line to the keeper that is none of the supervisor's.
            pulses = [_line(held) for _ in lines]
            workers = [
                Supervised(
                    _WORKER, Told(config, policies, [line.fileno()], [end.fileno()]), patience
                )
                for line, (_, end) in zip(lines, pulses, strict=True)
            ]
            for worker_ in workers:
                worker_.fork()
            felt = [_Felt(each, end) for each, (end, _) in zip(workers, pulses, strict=True)]
            serving = _serve(config, felt, line, kept, on_ready)
        uvloop.run(serving)


def _started(
    config: GatewayConfig, policies: Policies, held: ExitStack, lines: int
) -> tuple[Sequence[socket.socket], Supervised]:
    """Return the ends of so many ``lines`` to the keeper, and the keeper, forked.

    Both ends are held here: they stay the same whichever process comes and goes.
    """
    pairs = [_line(held) for _ in range(lines)]
    ends = [theirs.fileno() for _, theirs in pairs]
    kept = Supervised(
        _KEEPER, Told(config, policies, ends), Patience(_KEEPER.name, time.monotonic())
    )
    kept.fork()
    return [ours for ours, _ in pairs], kept


def _line(held: ExitStack) -> tuple[socket.socket, socket.socket]:
    """Return both ends of a line between processes, open until ``held`` closes."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    return held.enter_context(ours), held.enter_context(theirs)


class _Felt(NamedTuple):
    """A process that serves, and the end of the line by which it tells its pulse."""

    worker: Supervised
    end: socket.socket


async def _serve_alone(
    config: GatewayConfig,
    policies: Policies,
    https: socket.socket,
    end: socket.socket,
    kept: Supervised,
    on_ready: Callable[[Running], None],
) -> None:
    stop = _stop_event()
    async with AsyncExitStack() as stack:
        watchdog = await stack.enter_async_context(watched())
        # Whoever serves drains first: the keeper follows what was served to the last.
        stack.push_async_callback(kept.stop, _KEEPER_SECONDS)
        line = _opened(end, stack)
        pulse = await stack.enter_async_context(felt_pulse(line))
        running = await stack.enter_async_context(serving_gateway(config, policies, line, https))
        collect_rarely()

        async def kept_up() -> None:
            await kept.start()
            watchdog.ready()
            on_ready(running)
            await kept.keep_up(pulse.lost_anew)

        await _until_stopped(kept_up(), stop)
        watchdog.stopping()


async def _serve(
    config: GatewayConfig,
    felt: Sequence[_Felt],
    end: socket.socket,
    kept: Supervised,
    on_ready: Callable[[Running], None],
) -> None:
    stop = _stop_event()
    workers = [each.worker for each in felt]
    async with AsyncExitStack() as stack:
        watchdog = await stack.enter_async_context(watched())
        pulse, *pulses = [
            await stack.enter_async_context(felt_pulse(_opened(each, stack)))
            for each in (end, *(each.end for each in felt))
        ]

        async def kept_up() -> None:
            _, *places = await _all(child.start() for child in (kept, *workers))
            place = json.loads(places[0])
            watchdog.ready()
            on_ready(
                Running(place["grpc"], place["issuer"], Path(place["ca"]) if place["ca"] else None)
            )
            await _all(
                each.keep_up(its.lost_anew)
                for each, its in zip((kept, *workers), (pulse, *pulses), strict=True)
            )

        try:
            await _until_stopped(kept_up(), stop)
            watchdog.stopping()
        finally:
            await asyncio.gather(*(worker_.stop(config.drain_seconds) for worker_ in workers))
            await kept.stop(_KEEPER_SECONDS)


def _opened(end: socket.socket, stack: AsyncExitStack) -> Between:
    """Return the end of a line, open until ``stack`` closes."""
    line = Between([end])
    stack.callback(line.close)
    line.open()
    return line


def _at(config: GatewayConfig, **ports: socket.socket) -> GatewayConfig:
    """Return the settings with the ports that sockets have."""
    return config.model_copy(update={name: held.getsockname()[1] for name, held in ports.items()})


def _stop_event() -> asyncio.Event:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _all(coroutines: Iterable[Coroutine[Any, Any, _Given]]) -> list[_Given]:
    """Return what each gives. What one raises ends the others, so that none starts a process
    that nobody would stop."""
    tasks = [asyncio.ensure_future(each) for each in coroutines]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def _until_stopped(kept_up: Coroutine[Any, Any, None], stop: asyncio.Event) -> None:
    """Return once told to stop. Raises what ``kept_up`` raises."""
    up = asyncio.ensure_future(kept_up)
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((up, stopped), return_when=asyncio.FIRST_COMPLETED)
        if up.done():
            up.result()
    finally:
        up.cancel()
        stopped.cancel()
