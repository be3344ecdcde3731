"""Counts are exact and reach the collector as they are."""

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint

from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.telemetry.counts import Distribution
from gateway.telemetry.telemetry import Telemetry

ALLOWED = RefusalReason.REFUSAL_REASON_UNSPECIFIED
Points = dict[tuple[str, frozenset[tuple[str, object]]], int | float]


def collected(reader: InMemoryMetricReader) -> Points:
    """Return every exported value by metric and attributes."""
    data = reader.get_metrics_data()
    assert data is not None
    return {
        (metric.name, frozenset((point.attributes or {}).items())): point.value
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
        if isinstance(point, NumberDataPoint)
    }


@given(st.lists(st.integers(0, 40)), st.sets(st.integers(0, 40), min_size=1))
def test_a_distribution_counts_the_values_up_to_each_bound(
    values: list[int], bounds: set[int]
) -> None:
    distribution = Distribution(tuple(sorted(bounds)))
    for value in values:
        distribution.add(value)
    upto = [sum(value <= bound for value in values) for bound in sorted(bounds)]
    assert distribution.cumulative() == (*upto, len(values))
    assert distribution.sum == sum(values)


def test_calls_are_exported_by_method_status_and_reason() -> None:
    reader = InMemoryMetricReader()
    telemetry = Telemetry(reader=reader)
    quota = RefusalReason.REFUSAL_REASON_QUOTA_EXHAUSTED
    telemetry.calls.add("S/Get", "OK", ALLOWED, 0.0004)
    telemetry.calls.add("S/Get", "OK", ALLOWED, 0.003)
    telemetry.calls.add("S/Get", "RESOURCE_EXHAUSTED", quota, 0.5)
    points = collected(reader)
    telemetry.close()

    served = {("rpc.method", "S/Get"), ("rpc.response.status_code", "OK")}
    refused = {
        ("rpc.method", "S/Get"),
        ("rpc.response.status_code", "RESOURCE_EXHAUSTED"),
        ("creditgate.refusal.reason", "QUOTA_EXHAUSTED"),
    }
    assert points["creditgate.calls", frozenset(served)] == 2
    assert points["creditgate.calls", frozenset(refused)] == 1
    upto = {
        bound: points[
            "creditgate.call.duration.bucket", frozenset({("rpc.method", "S/Get"), ("le", bound)})
        ]
        for bound in ("0.0005", "0.005", "0.5", "+Inf")
    }
    assert upto == {"0.0005": 1, "0.005": 2, "0.5": 3, "+Inf": 3}


def test_metering_is_exported_as_group_sizes() -> None:
    reader = InMemoryMetricReader()
    telemetry = Telemetry(reader=reader)
    for size in (1, 3, 64):
        telemetry.metering.add_group(size)
    points = collected(reader)
    telemetry.close()

    assert points["creditgate.commit.size.sum", frozenset()] == 68
    assert points["creditgate.commit.size.bucket", frozenset({("le", "4")})] == 2
    assert points["creditgate.commit.size.bucket", frozenset({("le", "+Inf")})] == 3
