"""Several processes on one store: a suspension in one acts in the other within 1 s (G4)."""

import statistics
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from gateway.storage.engines import Engines
from operators.sql import SqlAuthorityLog
from tests.operators.things import draft, operator

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 6


class Follower:
    """A process that runs `tests.authority.follower`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def line(self) -> str:
        """Return the next line it says."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            _, said = self.process.communicate()
            raise AssertionError(said)
        return line

    def set(self, name: str, state: str) -> float:
        """Have it set an operator's state; return when the change was durable."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"set {name} {state}\n")
        self.process.stdin.flush()
        return self.told("set", name, state)[0]

    def told(self, word: str, name: str, state: str) -> list[float]:
        """Return the instants of the next line that says this."""
        while True:
            line = self.line().split()
            if line[:3] == [word, name, state]:
                return [float(instant) for instant in line[3:]]


@contextmanager
def follower(database: str, home: Path) -> Generator[Follower]:
    """Start a follower and end it."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.authority.follower", database, str(home)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Follower(process)
        finally:
            process.kill()


def test_processes_see_each_others_suspensions_within_a_second(
    store: tuple[str, Path], engines: Engines
) -> None:
    SqlAuthorityLog(engines.authority).append(
        [draft(operator()), draft(operator(operator_id="beta"))],
        changed_by="office",
        changed_at=5,
        reason="test",
    )
    with ExitStack() as stack:
        first, second = (stack.enter_context(follower(*store)) for _ in range(2))
        for each in (first, second):
            assert each.line() == "ready\n"
        seen_after: list[float] = []
        for number in range(ROUNDS):
            state = "ACTIVE" if number % 2 else "SUSPENDED"
            for name, setter, seer in (("alpha", first, second), ("beta", second, first)):
                durable = setter.set(name, state)
                seen, last_acted = seer.told("seen", name, state)
                assert last_acted < durable + 1.0
                seen_after.append(seen - durable)
    assert statistics.median(seen_after) < 0.5
