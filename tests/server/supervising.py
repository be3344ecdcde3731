"""A gateway as ``creditgate serve`` runs it: supervised, with a keeper beside who serves."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psutil

from gateway.server.process import Running
from tests.installation import Gateway, Installation, settings_line

_PROGRAM = """
import functools, json, sys
from gateway.config import GatewayConfig
from gateway.server import pulse, supervisor
least_life, give_up = map(float, sys.argv[1:3])
supervisor.Patience = functools.partial(
    supervisor.Patience, least_life=least_life, give_up=give_up
)
pulse.LOST_SECONDS = int(sys.argv[3])
config = GatewayConfig.model_validate_json(sys.stdin.readline())
supervisor.serve(config, lambda at: print(json.dumps([at.grpc, at.issuer]), flush=True))
"""
_KEEPER = "gate-keeper"


@dataclass(frozen=True)
class SupervisedGateway:
    """A supervised gateway that answers, and its first process."""

    gateway: Gateway
    process: Process

    def children(self) -> list[psutil.Process]:
        """Return its other processes that live."""
        return [each for each in psutil.Process(self.process.pid).children() if lives(each)]

    def keeper(self) -> psutil.Process | None:
        """Return the keeper, None while there is none."""
        for each in self.children():
            with suppress(psutil.NoSuchProcess):
                if each.name() == _KEEPER:
                    return each
        return None

    def present_keeper(self) -> psutil.Process:
        """Return the keeper, which there must be."""
        keeper = self.keeper()
        assert keeper is not None
        return keeper


def lives(process: psutil.Process) -> bool:
    """Tell whether a process lives still."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@asynccontextmanager
async def supervised(
    installation: Installation,
    *,
    least_life: float = 10.0,
    give_up: float = 120.0,
    lost: int = 10,
    **settings: Any,
) -> AsyncGenerator[SupervisedGateway]:
    """Run a supervised gateway, all of it killed in the end.

    It gives up once no process of a role has lived ``least_life`` seconds for ``give_up``
    seconds, and takes a keeper for hung that gave no sign for ``lost`` seconds.
    """
    told = [str(least_life), str(give_up), str(lost)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _PROGRAM, *told, stdin=PIPE, stdout=PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(settings_line(installation.config.model_copy(update=settings)))
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 30)
        grpc_address, issuer = json.loads(line)
        running = Running(grpc_address, issuer, installation.home.ca)
        yield SupervisedGateway(installation.addressed(running), process)
    finally:
        with suppress(psutil.NoSuchProcess):
            every = psutil.Process(process.pid).children()
            process.kill()
            for each in every:
                with suppress(psutil.NoSuchProcess):
                    each.kill()
        await process.wait()
