"""A process that stops itself, as a host that pauses does, before it commits what it is at.

``python -m tests.durability.stopped DATABASE WORK ARGUMENTS`` does one of `_WORKS` on a store of PostgreSQL
and says "done" or "undone" once it was told to go on (SIGCONT).
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError

from consent.sql import SqlConsents
from gateway.federation.asking.use_store import RegionUses
from gateway.oauth.grants import SqlOAuthGrants
from gateway.signin.identity import Identity
from gateway.signin.principals import Principals
from gateway.signin.sessions import Sessions
from gateway.storage.engines import postgresql_engine
from tests.clock import StandingClock
from tests.federation.asking.test_uses import NORTH, Made, answer, uses

SUBJECT: Final = "91000000DEM000011A"
_ROOT: Final = Path(__file__).resolve().parents[2]
_SECONDS: Final = 30


class Stopped:
    """The process, from where it has stopped."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    async def goes_on(self) -> str:
        """Have it go on, and return what it says has become of its work."""
        self._process.send_signal(signal.SIGCONT)
        said, _ = await asyncio.to_thread(self._process.communicate, timeout=_SECONDS)
        return said.strip()


@asynccontextmanager
async def stopped(engine: Engine, work: str, *arguments: str) -> AsyncGenerator[Stopped]:
    """Give a process that stopped amid some work on the engine's store; it is killed in the end."""
    database = engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "tests.durability.stopped", database, work, *arguments]
    process = await asyncio.to_thread(
        partial(subprocess.Popen, command, stdout=subprocess.PIPE, text=True, cwd=_ROOT)
    )
    try:
        _, status = await asyncio.to_thread(os.waitpid, process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), "it stops before it commits"
        yield Stopped(process)
    finally:
        process.kill()
        process.wait()


def _keep(engine: Engine, consent_id: str, now: str) -> None:
    consent = SqlConsents(engine).get(consent_id)
    assert consent is not None
    made = answer(Made(request_id="r-stopped", region=NORTH, served_at=int(now)), 1)
    its = [each._replace(opened=True, subject=consent.subject) for each in uses(1)]
    RegionUses(engine).keep(made._replace(consent=consent.name, records=1, opened=1), its, consent)


def _redeem(engine: Engine, code: str, client_id: str, now: str) -> None:
    grants = SqlOAuthGrants(engine)
    issued = grants.code(code, client_id, int(now))
    assert issued is not None
    grants.redeem(issued, "refresh", int(now) + 60, int(now))


def _sign_in(engine: Engine, subject: str, now: str) -> None:
    sessions = Sessions(engine, StandingClock(int(now)), Principals(b"0" * 32))
    person = Identity("https://idp.example", subject, "", SUBJECT, int(now), "basic", "")
    sessions.sign_in(sessions.browser(None), person)


_WORKS: Final = {"keep": _keep, "redeem": _redeem, "sign-in": _sign_in}


def main(database: str, work: str, *arguments: str) -> None:
    """Do some work on a store, stopping before the first commit."""
    engine = postgresql_engine(database, 2)

    @event.listens_for(engine, "commit")
    def stop(_connection: Connection) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)

    try:
        _WORKS[work](engine, *arguments)
        print("done")
    except DBAPIError:
        print("undone")


if __name__ == "__main__":
    main(*sys.argv[1:])
