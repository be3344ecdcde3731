"""A gateway as ``creditgate serve`` runs it: supervised, with a keeper beside who serves."""

import json
import signal
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psutil

from tests.forking import SUPERVISED, Forked, nursery
from tests.installation import Gateway, Installation, place_in, settings_line
from tests.server.supervisor_program import Told

_KEEPER = "gate-keeper"


@dataclass(frozen=True)
class SupervisedGateway:
    """A supervised gateway that answers, and its first process."""

    gateway: Gateway
    process: Forked

    def terminate(self) -> None:
        """Tell it to drain and end."""
        self.process.send(signal.SIGTERM)

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
    environment: Mapping[str, str] | None = None,
    **settings: Any,
) -> AsyncGenerator[SupervisedGateway]:
    """Run a supervised gateway, all of it killed in the end.

    It gives up once no process of a role has lived ``least_life`` seconds for ``give_up``
    seconds, and takes a keeper for hung that gave no sign for ``lost`` seconds.
    """
    line = json.loads(settings_line(installation.config.model_copy(update=settings)))
    told = Told(least_life, give_up, lost, environment or {}, line)
    process, said = await nursery().worker(told.written(), SUPERVISED)
    try:
        yield SupervisedGateway(installation.addressed(place_in(said)), process)
    finally:
        every = list[psutil.Process]()
        with suppress(psutil.NoSuchProcess):
            every = psutil.Process(process.pid).children()
        process.kill()
        for each in every:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        await process.wait()
