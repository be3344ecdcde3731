"""Spans on their way to a collector, which may be away or slow when the process ends."""

from collections.abc import Sequence
from threading import Timer

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult


class SpansInTime(BatchSpanProcessor):
    """Sends spans in batches; its end takes ``seconds`` at most, and what is left then is lost.

    OpenTelemetry's own waits at its end for each batch that is left, for as long as sending one
    may take.
    """

    def __init__(self, exporter: SpanExporter, seconds: float) -> None:
        self._until_closed = _UntilClosed(exporter)
        self._seconds = seconds
        super().__init__(self._until_closed)

    def shutdown(self) -> None:
        """Send what is left, and stop."""
        # Closed, the exporter gives up what it is sending.
        cut = Timer(self._seconds, self._until_closed.shutdown)
        cut.daemon = True
        cut.start()
        super().shutdown()
        cut.cancel()


class _UntilClosed(SpanExporter):
    """Exports until it is closed, by whoever comes first."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._closed = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self._closed:
            return SpanExportResult.FAILURE
        return self._exporter.export(spans)

    def shutdown(self) -> None:
        if not self._closed:
            self._closed = True
            self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)
