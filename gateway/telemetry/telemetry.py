"""Telemetry of one process, put together: silent, or exporting to a collector."""

import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from gateway.telemetry.counts import (
    CallCounts,
    CertificateCounts,
    MeteringCounts,
    PulseCounts,
    StepCounts,
    UsageCounts,
)
from gateway.telemetry.metrics import (
    observe_calls,
    observe_certificates,
    observe_keeper,
    observe_metering,
    observe_steps,
    observe_usage,
)
from gateway.telemetry.spans import SpansInTime
from gateway.telemetry.traces import CallTraces

_NAME: Final = "creditgate"
_EXPORT_SECONDS: Final = 5
_CLOSING_SECONDS: Final = 2
_EVERY_MILLISECONDS: Final = 10_000


class Telemetry:
    """What a process counts and traces.

    ``spans`` and ``reader`` say where to; without them counts are kept and nothing is
    sent. Make it after forking: exporters have threads.
    """

    def __init__(
        self, spans: SpanProcessor | None = None, reader: MetricReader | None = None
    ) -> None:
        self.calls = CallCounts()
        self.metering = MeteringCounts()
        self.usage = UsageCounts()
        self.keeper = PulseCounts()
        self.certificates = CertificateCounts()
        self.exports = reader is not None
        resource = Resource.create(
            {"service.name": _NAME, "service.instance.id": f"{os.uname().nodename}:{os.getpid()}"}
        )
        self._tracers = None if spans is None else _tracers(resource, spans)
        self._meters = None if reader is None else _meters(resource, reader)
        steps = StepCounts()
        tracer = None if self._tracers is None else self._tracers.get_tracer(_NAME)
        self.traces = CallTraces(tracer, steps)
        if self._meters is not None:
            meter = self._meters.get_meter(_NAME)
            observe_calls(meter, self.calls)
            observe_metering(meter, self.metering)
            observe_steps(meter, steps)
            observe_usage(meter, self.usage)
            observe_keeper(meter, self.keeper)
            observe_certificates(meter, self.certificates)

    def close(self) -> None:
        """Send what is left, for two seconds or so at most, and stop."""
        # Side by side: where the collector is away, each waits as long as it may.
        with ThreadPoolExecutor(2) as closing:
            ends: list[Future[None]] = []
            if self._tracers is not None:
                ends.append(closing.submit(self._tracers.shutdown))
            if self._meters is not None:
                most = _CLOSING_SECONDS * 1_000
                ends.append(closing.submit(self._meters.shutdown, timeout_millis=most))
        for end in ends:
            end.result()


def open_telemetry(otlp_endpoint: str | None) -> Telemetry:
    """Return the telemetry of this process, sent to ``otlp_endpoint`` (OTLP over gRPC, an
    http or https URL), or to nobody for None."""
    if otlp_endpoint is None:
        return Telemetry()
    # Imported here: starting takes a third of a second longer with it, and few need it.
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    insecure = otlp_endpoint.startswith("http://")
    spans = OTLPSpanExporter(otlp_endpoint, insecure=insecure, timeout=_EXPORT_SECONDS)
    metrics = OTLPMetricExporter(otlp_endpoint, insecure=insecure, timeout=_EXPORT_SECONDS)
    return Telemetry(
        SpansInTime(spans, _CLOSING_SECONDS),
        PeriodicExportingMetricReader(metrics, export_interval_millis=_EVERY_MILLISECONDS),
    )


def _tracers(resource: Resource, spans: SpanProcessor) -> TracerProvider:
    # ALWAYS_ON: a caller's sampling flag does not decide whether its calls are seen.
    provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(spans)
    return provider


def _meters(resource: Resource, reader: MetricReader) -> MeterProvider:
    return MeterProvider((reader,), resource=resource, shutdown_on_exit=False)
