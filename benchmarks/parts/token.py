"""Tokens: what a seen one costs a unary call, and how fast new ones are given."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.clients.protocol import TokenJob
from benchmarks.parts.stage import USUAL, Stage
from benchmarks.parts.unary import CLIENT
from benchmarks.results import Measure
from benchmarks.rounds import Spread, Turn, figure, take_turns
from benchmarks.verification import Verified

_TOKENS: Final = "benchmarks.clients.token"
_TIMED: Final = "benchmarks.servers.timed_gateway"
# More only wait for each other: requests are answered one commit after the other.
_IN_FLIGHT: Final = 16
_LEAST_ANSWER_BYTES: Final = 500


def measure(stage: Stage) -> list[Measure]:
    """Return the share of verification in a call, and the token endpoint's figures."""
    return [*_verification(stage), *_endpoint(stage)]


def _verification(stage: Stage) -> list[Measure]:
    """Every call but the first shows a token the server has seen."""
    shares: list[float] = []
    costs: list[float] = []
    with TemporaryDirectory() as folder:
        file = Path(folder) / "verified"
        with stage.gateway(USUAL, _TIMED, file) as gateway, gateway.loaded(CLIENT) as side:
            side.run(stage.pace.warm_up)
            for _ in range(stage.pace.turns):
                before, cpu = Verified.read(file), side.server.cpu
                side.run(stage.pace.seconds)
                verified = Verified.read(file).since(before)
                shares.append(verified.seconds / (side.server.cpu - cpu))
                costs.append(verified.per_call)
    return [
        Measure("token.verification_over_unary_call", Spread.of(shares), at_most=0.05),
        Measure("token.verification_cpu", Spread.of(costs), "µs"),
    ]


def _endpoint(stage: Stage) -> list[Measure]:
    with stage.gateway(USUAL) as gateway:
        credentials = gateway.credentials
        job = TokenJob(
            **gateway.job.model_dump(exclude={"in_flight", "least_bytes"}),
            in_flight=_IN_FLIGHT,
            least_bytes=_LEAST_ANSWER_BYTES,
            issuer=credentials.issuer,
            client_id=credentials.client_id,
            signing_key=credentials.signing_key,
        )
        with gateway.loaded(_TOKENS, job) as side:
            (turns,) = take_turns((side,), stage.pace)
    return [
        Measure("token.endpoint_tokens_per_second", figure(turns, Turn.calls_per_second), "1/s"),
        Measure("token.endpoint_server_cpu_per_token", figure(turns, Turn.cpu_per_call), "µs"),
        Measure("token.endpoint_p99", figure(turns, Turn.p99), "µs"),
    ]
