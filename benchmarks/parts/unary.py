"""GetSubjectRecords with every check and durable metering, against a bare server."""

from benchmarks.parts.stage import USUAL, Stage
from benchmarks.processes import generating, serving
from benchmarks.results import Measure
from benchmarks.rounds import Side, Turn, figure, ratio, take_turns

CLIENT = "benchmarks.clients.unary"


def measure(stage: Stage) -> list[Measure]:
    """Return the gateway's figures beside those of a bare echo of the same sizes."""
    with stage.gateway(USUAL) as gateway, gateway.loaded(CLIENT) as real:
        size = real.run(stage.pace.warm_up).longest_bytes
        home = gateway.home
        tls = (home.server_certificate, home.server_key, home.ca)
        with serving("benchmarks.servers.echo", *tls, str(size)) as server:
            job = gateway.job.model_copy(update={"address": server.address})
            with generating(CLIENT, job) as load:
                bare = Side(server, load, gateway.tokens.token)
                ours, echo = take_turns((real, bare), stage.pace)
    return [
        Measure(
            "unary.throughput_of_bare_echo",
            ratio(ours, echo, Turn.calls_per_second),
            at_least=0.65,
        ),
        Measure("unary.server_cpu_over_bare_echo", ratio(ours, echo, Turn.cpu_per_call)),
        Measure("unary.gateway_calls_per_second", figure(ours, Turn.calls_per_second), "calls/s"),
        Measure("unary.gateway_server_cpu_per_call", figure(ours, Turn.cpu_per_call), "µs"),
        Measure("unary.gateway_p99", figure(ours, Turn.p99), "µs"),
        Measure("unary.echo_calls_per_second", figure(echo, Turn.calls_per_second), "calls/s"),
        Measure("unary.echo_server_cpu_per_call", figure(echo, Turn.cpu_per_call), "µs"),
        Measure("unary.echo_p99", figure(echo, Turn.p99), "µs"),
    ]
