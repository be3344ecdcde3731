"""What is said between the benchmark and a load generator: one JSON line each."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Job(_Said):
    """Whom to call, as whom, over how many connections, with how many calls in flight.

    ``address`` is host:port; the paths are PEM files; ``subjects`` is the number of
    invented companies to ask about, ``least_bytes`` the smallest answer that is right.
    ``items`` are asked for by name, all where there are none; ``consented``: naming each
    company's consent; ``proof``: a ProofKind, 0 for none. ``batch``: companies in one call of
    those that ask about many.
    """

    address: str
    ca: Path
    certificate: Path
    key: Path
    subjects: int
    least_bytes: int
    connections: int = 4
    in_flight: int = 128
    items: tuple[str, ...] = ()
    consented: bool = False
    proof: int = 0
    batch: int = 10_000


class TokenJob(Job):
    """Also as which client to ask the ``issuer`` (https URL) for tokens: ``client_id``, with
    assertions signed by ``signing_key``, a PEM file."""

    issuer: str
    client_id: str
    signing_key: Path


class Round(_Said):
    """Call for ``seconds``, showing ``token``; 0 makes every call in flight once."""

    seconds: float
    token: str


class Outcome(_Said):
    """What a round did: right answers, seconds until the last of them, records in them,
    the longest one's bytes, each one's latency in microseconds and the client's own CPU seconds."""

    calls: int
    seconds: float
    records: int
    longest_bytes: int
    latencies_us: Sequence[int]
    client_cpu: float

    @classmethod
    def of_all(cls, outcomes: Sequence["Outcome"]) -> "Outcome":
        """Return what several rounds did together."""
        return cls(
            calls=sum(each.calls for each in outcomes),
            seconds=sum(each.seconds for each in outcomes),
            records=sum(each.records for each in outcomes),
            longest_bytes=max(each.longest_bytes for each in outcomes),
            latencies_us=[took for each in outcomes for took in each.latencies_us],
            client_cpu=sum(each.client_cpu for each in outcomes),
        )


def read_job() -> Job:
    """Read what this load generator is for."""
    return Job.model_validate_json(sys.stdin.readline())


def rounds_asked() -> Iterator[Round]:
    """Give each round as it is asked for, until the benchmark hangs up."""
    for line in sys.stdin:
        yield Round.model_validate_json(line)


def answer(outcome: Outcome) -> None:
    """Tell what a round did."""
    print(outcome.model_dump_json(), flush=True)
