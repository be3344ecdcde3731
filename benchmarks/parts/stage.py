"""What every part needs: where to work, how long to measure, a gateway with its client."""

import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from benchmarks.clients.protocol import Job
from benchmarks.installations import CLIENT_ID, installed
from benchmarks.processes import Failed, Server, generating, serving
from benchmarks.rounds import Pace, Side, Turn, take_turns
from benchmarks.shape import Shape
from gateway.disclose.store import DisclosureStore
from gateway.installation.home import Home
from gateway.storage.engines import open_engines, reading
from gateway.transparency.entries import last_head
from sdk.credentials import Credentials
from sdk.tokens import TokenSource

USUAL: Final = Shape(subjects=10_000, records_each=3)
"""What is disclosed where the size of the disclosure is not in question."""

GATEWAY: Final = "benchmarks.servers.gateway"
"""The server module of the gateway as it is; given a file, it writes its profile there."""

# Content alone; less is not the answer asked for.
_LEAST_RECORD_BYTES: Final = 400
# Where a process's memory comes to lie makes it faster or slower by a twentieth till its end.
_STARTS: Final = 4
# A million events, on a slow host that does other things too.
_LOGGED_SECONDS: Final = 1_200


@dataclass(frozen=True, slots=True)
class Stage:
    """Where installations are kept and how long to measure."""

    folder: Path
    pace: Pace

    def apart(self, name: str) -> "Stage":
        """Return a stage with installations of its own, which no other part fills: of two that are
        compared one must not do the other's work after the answer, nor be the larger."""
        return replace(self, folder=self.folder / name)

    def side(
        self, name: str, shape: Shape, client: str, module: str = GATEWAY, **asking: Any
    ) -> Callable[[], AbstractContextManager[Side]]:
        """Return what starts a gateway `apart`, and load by ``client``, whose job differs in what it
        is ``asking``."""

        @contextmanager
        def started() -> Generator[Side]:
            with (
                self.apart(name).gateway(shape, module) as gateway,
                gateway.loaded(client, gateway.job.model_copy(update=asking)) as side,
            ):
                yield side

        return started

    def started_anew(self, *sides: Callable[[], AbstractContextManager[Side]]) -> list[list[Turn]]:
        """Return each side's turns of several starts of the servers: ``sides`` start one each, in the
        reverse order each time, for the first to be started is the slower by a hundredth."""
        starts = min(_STARTS, self.pace.turns)
        pace = replace(self.pace, turns=-(-self.pace.turns // starts))
        turns: list[list[Turn]] = [[] for _ in sides]
        for start in range(starts):
            order = range(len(sides)) if start % 2 else reversed(range(len(sides)))
            with ExitStack() as stack:
                started = {place: stack.enter_context(sides[place]()) for place in order}
                taken = take_turns([started[place] for place in range(len(sides))], pace)
            for all_its, its in zip(turns, taken, strict=True):
                all_its.extend(its)
        return turns

    @contextmanager
    def gateway(
        self, shape: Shape, module: str = GATEWAY, *arguments: str | Path
    ) -> Generator["Gateway"]:
        """Run a gateway that discloses ``shape``, by server ``module``, which gets ``arguments``.

        It has logged all that was put straight into its store: to catch up is work that no
        call asked for. Raises Failed where that takes too long.
        """
        home = installed(self.folder / shape.name, shape)
        with serving(module, home.root, *arguments) as server:
            _wait_for_the_log(home)
            grpc, _, issuer = server.address.partition(" ")
            credentials = Credentials.load(home.profile(CLIENT_ID)).model_copy(
                update={"grpc": grpc, "issuer": issuer}
            )
            tokens = TokenSource(credentials)
            try:
                yield Gateway(home, shape, server, credentials, tokens)
            finally:
                tokens.close()


def _wait_for_the_log(home: Home) -> None:
    engines = open_engines("sqlite", home.root)
    try:
        newest = DisclosureStore(engines.records).head()
        until = time.monotonic() + _LOGGED_SECONDS
        while time.monotonic() < until:
            with reading(engines.evidence) as connection:
                head = last_head(connection)
            if head is not None and head.event_sequence >= newest:
                return
            time.sleep(0.1)
    finally:
        engines.dispose()
    raise Failed("the disclosure log did not come to the newest event in time")


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway and its licensed client."""

    home: Home
    shape: Shape
    server: Server
    credentials: Credentials
    tokens: TokenSource

    @property
    def job(self) -> Job:
        """The work of a load generator that calls it."""
        return Job(
            address=self.credentials.grpc,
            ca=self.credentials.ca,
            certificate=self.credentials.certificate,
            key=self.credentials.key,
            subjects=self.shape.subjects,
            least_bytes=self.shape.records_each * _LEAST_RECORD_BYTES,
        )

    @contextmanager
    def loaded(self, module: str, job: Job | None = None, *arguments: str) -> Generator[Side]:
        """Give the side of this gateway called by load generator ``module``, which gets
        ``arguments``."""
        with generating(module, job or self.job, *arguments) as load:
            yield Side(self.server, load, self.tokens.token)
