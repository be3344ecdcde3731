"""Configured, telemetry reaches a collector over OTLP; not configured, it opens nothing."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from uuid import uuid4

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as traces_grpc
from opentelemetry.proto.trace.v1 import trace_pb2

from creditgate.v1 import credit_record_service_pb2 as records_pb
from creditgate.v1 import credit_record_service_pb2_grpc as records_grpc
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.telemetry.telemetry import open_telemetry
from tests.installation import PUBLISHER, PURPOSE, Installation, company
from tests.server.calls import draft, publish, query

SUBJECTS = 20
SEVERAL_BATCHES = 1_300
"""Spans that are sent by 512."""


class Collector(traces_grpc.TraceServiceServicer, metrics_grpc.MetricsServiceServicer):
    """An OTLP collector that keeps the names of what it is sent, which spans are errors, and how
    calls ended.

    The services' methods share one name, so the one method takes both requests.
    """

    def __init__(self) -> None:
        self.spans: list[str] = []
        self.steps: dict[str, list[str]] = {}
        self.errors: list[str] = []
        self.metrics: set[str] = set()
        self.ended: set[tuple[str, str]] = set()

    def Export(
        self,
        request: traces.ExportTraceServiceRequest | metrics.ExportMetricsServiceRequest,
        context: grpc.ServicerContext,
    ) -> traces.ExportTraceServiceResponse | metrics.ExportMetricsServiceResponse:
        """Keep what came."""
        del context
        if isinstance(request, traces.ExportTraceServiceRequest):
            for span in (
                span
                for resource in request.resource_spans
                for scope in resource.scope_spans
                for span in scope.spans
            ):
                self.spans.append(span.name)
                self.steps[span.name] = [event.name for event in span.events]
                if span.status.code == trace_pb2.Status.STATUS_CODE_ERROR:
                    self.errors.append(f"{span.name}: {span.status.message}")
            return traces.ExportTraceServiceResponse()
        for metric in (
            metric
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ):
            self.metrics.add(metric.name)
            if metric.name == "creditgate.calls":
                for point in metric.sum.data_points:
                    said = {each.key: each.value.string_value for each in point.attributes}
                    self.ended.add((said["rpc.method"], said["rpc.response.status_code"]))
        return metrics.ExportMetricsServiceResponse()


@pytest.fixture
def collector() -> Iterator[tuple[str, Collector]]:
    """(endpoint, collector) listening on loopback."""
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    traces_grpc.add_TraceServiceServicer_to_server(collector, server)
    metrics_grpc.add_MetricsServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"http://127.0.0.1:{port}", collector
    server.stop(None).wait()


def test_calls_reach_the_configured_collector(collector: tuple[str, Collector]) -> None:
    endpoint, received = collector
    telemetry = open_telemetry(endpoint)
    with telemetry.traces.call("S/Get", {}):
        pass
    telemetry.calls.add("S/Get", "OK", RefusalReason.REFUSAL_REASON_UNSPECIFIED, 0.001)
    telemetry.close()
    assert received.spans == ["S/Get"]
    assert "creditgate.calls" in received.metrics


@pytest.mark.parametrize("listens", [True, False], ids=["silent", "away"])
def test_a_collector_that_does_not_answer_delays_the_end_by_two_seconds(*, listens: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        if not listens:
            silent.shutdown(socket.SHUT_RDWR)
        telemetry = open_telemetry(f"http://127.0.0.1:{silent.getsockname()[1]}")
        for _ in range(SEVERAL_BATCHES):
            with telemetry.traces.call("S/Get", {}):
                pass
        telemetry.calls.add("S/Get", "OK", RefusalReason.REFUSAL_REASON_UNSPECIFIED, 0.001)
        started = monotonic()
        telemetry.close()
        assert monotonic() - started < 3.5


def test_without_a_collector_nothing_is_started() -> None:
    before = set(threading.enumerate())
    telemetry = open_telemetry(None)
    with telemetry.traces.call("S/Get", {}) as trace:
        assert not trace.trace_id
    telemetry.close()
    assert set(threading.enumerate()) <= before


async def test_each_step_of_a_query_is_traced_and_timed(
    sqlite_store: tuple[str, Path], collector: tuple[str, Collector]
) -> None:
    endpoint, received = collector
    installation = Installation(*sqlite_store, settings={"otlp_endpoint": endpoint})
    installation.furnish()
    async with installation.running() as gateway, gateway.channel() as channel:
        await query(channel)
    installation.close()
    assert received.steps["CreditRecordService/GetSubjectRecords"] == [
        "authenticated",
        "authorised",
        "disclosed",
        "metered",
        "answered",
    ]
    assert "creditgate.step.duration.bucket" in received.metrics


async def test_streams_that_their_clients_drop_are_cut_off_and_no_errors(
    sqlite_store: tuple[str, Path],
    collector: tuple[str, Collector],
    caplog: pytest.LogCaptureFixture,
) -> None:
    endpoint, received = collector
    installation = Installation(
        *sqlite_store, settings={"otlp_endpoint": endpoint, "chunk_subjects": 1}
    )
    installation.furnish()
    async with installation.running() as gateway:
        async with gateway.channel(PUBLISHER) as publisher:
            await publish(publisher, [draft(f"r-{i}", company(i)) for i in range(SUBJECTS)])
        async with gateway.channel() as channel:
            stub = records_grpc.CreditRecordServiceStub(channel)
            for _ in range(40):
                call = stub.BatchGetSubjectRecords(
                    records_pb.BatchGetSubjectRecordsRequest(
                        subjects=[company(i) for i in range(SUBJECTS)],
                        purpose=PURPOSE,
                        request_id=str(uuid4()),
                    )
                )
                await call.read()
                call.cancel()
    installation.close()
    method = "CreditRecordService/BatchGetSubjectRecords"
    assert not received.errors
    assert {status for name, status in received.ended if name == method} <= {"CANCELLED", "OK"}
    assert (method, "CANCELLED") in received.ended
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
