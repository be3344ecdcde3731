"""The supervisor: as many worker processes as configured, on the same two ports.

The ports are held by sockets that never listen, so that they stay the gateway's while
workers come and go; the kernel spreads connections over the workers (SO_REUSEPORT).
"""

import asyncio
import contextlib
import json
import logging
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import uvloop

from gateway.config import GatewayConfig
from gateway.oauth.connection import bound_socket
from gateway.server.process import Running, running_gateway

_log = logging.getLogger(__name__)
_READY_SECONDS: Final = 60.0
_LEAST_LIFE_SECONDS: Final = 10.0


class WorkerFailed(Exception):
    """A worker ended before it served, or soon after; its own log says why."""


def serve(config: GatewayConfig, on_ready: Callable[[Running], None]) -> None:
    """Serve until SIGTERM or SIGINT, then drain; ``on_ready`` is called once it answers.

    A worker that ends by itself is started again. Raises WorkerFailed when one cannot
    stay up, and what `running_gateway` raises.
    """
    uvloop.run(_serve_alone(config, on_ready) if config.workers == 1 else _serve(config, on_ready))


def _stop_event() -> asyncio.Event:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _serve_alone(config: GatewayConfig, on_ready: Callable[[Running], None]) -> None:
    stop = _stop_event()
    async with running_gateway(config) as running:
        on_ready(running)
        await stop.wait()


async def _serve(config: GatewayConfig, on_ready: Callable[[Running], None]) -> None:
    stop = _stop_event()
    with ExitStack() as held:
        grpc_socket = held.enter_context(
            bound_socket(config.grpc_host, config.grpc_port, shared=True)
        )
        https_socket = held.enter_context(
            bound_socket(config.https_host, config.https_port, shared=True)
        )
        settings = _settings(config, grpc_socket.getsockname()[1], https_socket.getsockname()[1])
        workers = [_Worker(settings) for _ in range(config.workers)]
        try:
            places = await asyncio.gather(*(worker.start() for worker in workers))
            on_ready(places[0])
            await _until_stopped(workers, stop)
        finally:
            await asyncio.gather(*(worker.stop(config.drain_seconds) for worker in workers))


async def _until_stopped(workers: list["_Worker"], stop: asyncio.Event) -> None:
    waits = [asyncio.create_task(worker.keep_up()) for worker in workers]
    stopped = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait((*waits, stopped), return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in (*waits, stopped):
            task.cancel()


def _settings(config: GatewayConfig, grpc_port: int, https_port: int) -> bytes:
    document: dict[str, Any] = config.model_dump(mode="json")
    document |= {
        "database": config.database.get_secret_value(),
        "grpc_port": grpc_port,
        "https_port": https_port,
    }
    return json.dumps(document).encode() + b"\n"


class _Worker:
    """One worker process; settings go over a pipe, since they may hold a password."""

    def __init__(self, settings: bytes) -> None:
        self._settings = settings
        self._process: Process | None = None

    async def start(self) -> Running:
        """Start the process and return where it answers. Raises WorkerFailed."""
        process = self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway.server.worker", stdin=PIPE, stdout=PIPE,
            start_new_session=True,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(self._settings)
        try:
            line = await asyncio.wait_for(process.stdout.readline(), _READY_SECONDS)
        except TimeoutError:
            line = b""
        if not line:
            raise WorkerFailed("A worker did not come up; its log above says why.")
        place = json.loads(line)
        return Running(place["grpc"], place["issuer"], Path(place["ca"]) if place["ca"] else None)

    async def keep_up(self) -> None:
        """Start the process again whenever it ends. Raises WorkerFailed in a crash loop."""
        while True:
            started = time.monotonic()
            assert self._process is not None
            status = await self._process.wait()
            _log.error("worker %d ended with status %d", self._process.pid, status)
            if time.monotonic() - started < _LEAST_LIFE_SECONDS:
                raise WorkerFailed("A worker keeps ending; its log above says why.")
            await self.start()

    async def stop(self, drain_seconds: float) -> None:
        """Let the process drain and end; kill it when it takes much longer than that."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), drain_seconds + _LEAST_LIFE_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
