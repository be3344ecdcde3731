"""Child processes: servers whose CPU and memory are watched, and load generators."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import psutil

from benchmarks.clients.protocol import Job, Outcome, Round

ROOT: Final = Path(__file__).resolve().parents[1]
READY: Final = "ready "
_STOP_SECONDS: Final = 30
_LOOK_SECONDS: Final = 3
_QUIET_SHARE: Final = 0.1
_MOST_UNQUIET_SECONDS: Final = 900
_OWN_MEMORY: Final = re.compile(r"^Pss_Anon: *(\d+) kB$", re.MULTILINE)


class Failed(Exception):
    """A child process did not do its part; the message says which and why."""


class Server:
    """A running server with its processes: workers, and who works beside them."""

    def __init__(self, process: "subprocess.Popen[str]", address: str) -> None:
        self.address = address
        self._process = process

    @property
    def cpu(self) -> float:
        """The CPU seconds all its processes have used so far."""
        # Of children that ended their parent has the times, though only by the tick.
        return sum(_cpu(each.pid) + sum(each.cpu_times()[2:4]) for each in self._processes)

    @property
    def serving_cpu(self) -> float:
        """The CPU seconds that the process which was started has used so far: where it has one worker,
        that one, without the keeper."""
        return _cpu(self._process.pid)

    @property
    def memory(self) -> int:
        """The bytes of memory its processes have of their own.

        It leaves out pages of files, such as a mapped database, which the system takes back
        when it needs them; what processes share, since one was forked from another, counts once.
        """
        return sum(_own_memory(each.pid) for each in self._processes)

    @property
    def _processes(self) -> Sequence[psutil.Process]:
        parent = psutil.Process(self._process.pid)
        return parent, *parent.children(recursive=True)


def _cpu(pid: int) -> float:
    """Return the CPU seconds a process's threads have used, those that ended too, to the
    nanosecond: a slice of a turn is short beside the tick of the system's other figures."""
    # The process's CPU clock, as clock_getcpuclockid(3) gives it on Linux.
    return time.clock_gettime(~pid << 3 | 2)


def _own_memory(pid: int) -> int:
    """Return how many bytes of no file a process holds, its part of what it shares."""
    (held,) = _OWN_MEMORY.findall(Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii"))
    return int(held) << 10


@contextmanager
def serving(module: str, *arguments: str | Path) -> Generator[Server]:
    """Run ``python -m module`` as a server: ready when it prints "ready ADDRESS".

    Raises Failed when it ends before.
    """
    with _running(module, *arguments) as process:
        while line := _heard(process):
            if line.startswith(READY):
                yield Server(process, line.removeprefix(READY).strip())
                return
        raise Failed(f"{module} ended before it was ready; see above.")


def settled(servers: Sequence[Server]) -> list[float]:
    """Wait until servers have caught up with what was written without them, or is left of former
    calls; return what share of a core each uses while nobody calls. Raises Failed where they do
    not come to rest."""
    give_up = time.monotonic() + _MOST_UNQUIET_SECONDS
    former = [1.0] * len(servers)
    while time.monotonic() < give_up:
        shares = _shares(servers)
        # Twice, and the lesser: what comes now and then is not what they use all the time.
        if max(*former, *shares) < _QUIET_SHARE:
            return list(map(min, former, shares))
        former = shares
    raise Failed(f"a server was still working after {_MOST_UNQUIET_SECONDS} s")


def _shares(servers: Sequence[Server]) -> list[float]:
    began, before = time.perf_counter(), [server.cpu for server in servers]
    time.sleep(_LOOK_SECONDS)
    took = time.perf_counter() - began
    return [(server.cpu - cpu) / took for server, cpu in zip(servers, before, strict=True)]


def machine_cpu() -> float:
    """Return the CPU seconds that everything on this machine has used so far."""
    used = psutil.cpu_times()
    return used.user + used.nice + used.system + used.irq + used.softirq + used.steal


class LoadGenerator:
    """A client process that keeps its connections from round to round."""

    def __init__(self, module: str, process: "subprocess.Popen[str]") -> None:
        self._module = module
        self._process = process

    @property
    def cpu(self) -> float:
        """The CPU seconds it has used so far, between rounds too."""
        return _cpu(self._process.pid)

    def run(self, wanted: Round) -> Outcome:
        """Run one round. Raises Failed when any call failed."""
        _tell(self._process, wanted.model_dump_json())
        answer = _heard(self._process)
        if not answer:
            raise Failed(f"{self._module} ended in a round; see above.")
        return Outcome.model_validate_json(answer)


@contextmanager
def generating(module: str, job: Job, *arguments: str) -> Generator[LoadGenerator]:
    """Run ``python -m module`` as a load generator for ``job``."""
    with _running(module, *arguments) as process:
        _tell(process, job.model_dump_json())
        yield LoadGenerator(module, process)


@contextmanager
def _running(module: str, *arguments: str | Path) -> "Generator[subprocess.Popen[str]]":
    command: Sequence[str | Path] = (sys.executable, "-m", module, *arguments)
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _heard(process: "subprocess.Popen[str]") -> str:
    return _pipe(process.stdout).readline()


def _tell(process: "subprocess.Popen[str]", line: str) -> None:
    stdin = _pipe(process.stdin)
    stdin.write(line + "\n")
    stdin.flush()


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe
