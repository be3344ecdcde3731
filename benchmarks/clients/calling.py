"""Keeping calls in flight for a while, and measuring them."""

import asyncio
import resource
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import grpc

from benchmarks.clients.protocol import Job, Outcome, Round, answer, rounds_asked

_PATIENCE: Final = 60
"""Seconds a round may go on after its time."""

Call = Callable[[], Awaitable[int]]
"""Makes one call and returns the bytes of its answer; raises when it failed."""


@dataclass
class Measured:
    """What the calls of a round came to."""

    latencies: list[float] = field(default_factory=list[float])
    records: int = 0
    longest: int = 0

    def outcome(self, started: float, ended: float, client_cpu: float) -> Outcome:
        """Return it as told to the benchmark."""
        return Outcome(
            calls=len(self.latencies),
            seconds=ended - started,
            records=self.records,
            longest_bytes=self.longest,
            latencies_us=[round(1e6 * took) for took in self.latencies],
            client_cpu=client_cpu,
        )


async def serve_rounds(job: Job, begin: Callable[[Round, Measured], list[Call]]) -> None:
    """Run every round asked for; ``begin`` gives the calls that are made over and over,
    each anew as soon as it is answered, until the time is up."""
    loop = asyncio.get_running_loop()
    asked = rounds_asked()
    while (wanted := await loop.run_in_executor(None, next, asked, None)) is not None:
        answer(await _round(job, wanted, begin))


async def _round(
    job: Job, wanted: Round, begin: Callable[[Round, Measured], list[Call]]
) -> Outcome:
    measured = Measured()
    calls = begin(wanted, measured)
    cpu = _own_cpu()
    started = time.perf_counter()
    deadline = started + wanted.seconds
    try:
        async with asyncio.timeout(wanted.seconds + _PATIENCE), asyncio.TaskGroup() as group:
            for call in calls:
                group.create_task(_repeat(call, job.least_bytes, deadline, measured))
    except TimeoutError:
        raise SystemExit(f"A call was not answered within {_PATIENCE} s.") from None
    except ExceptionGroup as failed:
        raise SystemExit(f"A call failed: {failed.exceptions[0]!r}") from None
    return measured.outcome(started, time.perf_counter(), _own_cpu() - cpu)


async def _repeat(call: Call, least_bytes: int, deadline: float, measured: Measured) -> None:
    clock = time.perf_counter
    began = clock()
    while True:
        size = await call()
        if size < least_bytes:
            raise ValueError(f"an answer of {size} bytes is not the one asked for")
        ended = clock()
        measured.latencies.append(ended - began)
        measured.longest = max(measured.longest, size)
        if ended >= deadline:
            return
        began = ended


def _own_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def open_channels(job: Job) -> list[grpc.aio.Channel]:
    """Open the job's connections over mutual TLS, none shared."""
    tls = grpc.ssl_channel_credentials(
        job.ca.read_bytes(), job.key.read_bytes(), job.certificate.read_bytes()
    )
    options = [
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.max_receive_message_length", 64 << 20),
    ]
    return [
        grpc.aio.secure_channel(job.address, tls, options=options) for _ in range(job.connections)
    ]
