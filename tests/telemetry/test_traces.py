"""A traced call is one span with its steps; an untraced one costs next to nothing."""

import asyncio
import time
from contextvars import copy_context

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, format_trace_id

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.telemetry.telemetry import Telemetry
from gateway.telemetry.traces import step

METHOD = "CreditRecordService/GetSubjectRecords"
TRACE = "0af7651916cd43dd8448eb211c80319c"


class Traced:
    """Telemetry whose finished spans can be read."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.telemetry = Telemetry(SimpleSpanProcessor(self._exporter))

    def spans(self) -> tuple[ReadableSpan, ...]:
        """Return the spans finished."""
        return self._exporter.get_finished_spans()

    def span(self) -> ReadableSpan:
        """Return the only span finished."""
        (span,) = self.spans()
        return span


@pytest.fixture
def traced() -> Traced:
    """Telemetry of one test."""
    return Traced()


def test_a_call_is_one_span_with_an_event_for_each_step(traced: Traced) -> None:
    with traced.telemetry.traces.call(METHOD, {}) as trace:
        trace.step("authorised")
        step("metered")
    span = traced.span()
    assert span.name == METHOD
    assert [event.name for event in span.events] == ["authorised", "metered"]
    context = span.get_span_context()
    assert context is not None
    assert format_trace_id(context.trace_id) == trace.trace_id


def test_a_caller_s_trace_is_continued_even_when_it_does_not_sample(traced: Traced) -> None:
    carrier = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-00"}
    with traced.telemetry.traces.call(METHOD, carrier) as trace:
        pass
    assert trace.trace_id == TRACE
    assert traced.span().parent is not None


def test_a_refusal_is_an_attribute_and_no_error_of_the_gateway(traced: Traced) -> None:
    refused = Refused(RefusalReason.REFUSAL_REASON_NO_LICENCE, "…")
    with pytest.raises(Refused), traced.telemetry.traces.call(METHOD, {}):
        raise refused
    span = traced.span()
    assert (span.attributes or {})["creditgate.refusal.reason"] == "NO_LICENCE"
    assert span.status.status_code is StatusCode.UNSET


def test_a_failure_shows_its_type_and_no_word_of_its_message(traced: Traced) -> None:
    with pytest.raises(KeyError), traced.telemetry.traces.call(METHOD, {}):
        raise KeyError("910000000000000018")
    span = traced.span()
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "KeyError"
    assert "910000000000000018" not in span.to_json()


@pytest.mark.parametrize("cut_off", [GeneratorExit, asyncio.CancelledError])
def test_a_call_that_is_cut_off_is_no_error(traced: Traced, cut_off: type[BaseException]) -> None:
    with pytest.raises(cut_off), traced.telemetry.traces.call(METHOD, {}):
        raise cut_off
    span = traced.span()
    assert [event.name for event in span.events] == ["cut off"]
    assert span.status.status_code is StatusCode.UNSET


def test_a_call_may_end_in_another_context_than_it_began_in(traced: Traced) -> None:
    trace = traced.telemetry.traces.call(METHOD, {})
    copy_context().run(trace.__enter__)
    copy_context().run(trace.__exit__, None, None, None)
    assert traced.span().status.status_code is StatusCode.UNSET


async def test_steps_of_concurrent_calls_go_to_their_own_spans(traced: Traced) -> None:
    async def call(name: str) -> None:
        with traced.telemetry.traces.call(METHOD, {}):
            await asyncio.sleep(0)
            step(name)
            await asyncio.to_thread(step, f"{name} in a thread")

    await asyncio.gather(call("first"), call("second"))
    steps = {tuple(event.name for event in span.events) for span in traced.spans()}
    assert steps == {(name, f"{name} in a thread") for name in ("first", "second")}


def test_steps_after_a_call_belong_to_no_span(
    traced: Traced, caplog: pytest.LogCaptureFixture
) -> None:
    with traced.telemetry.traces.call(METHOD, {}):
        pass
    step("afterwards")
    # OpenTelemetry complains of events on a span that has ended.
    assert not caplog.records


def test_silence_costs_less_than_a_microsecond_a_call() -> None:
    traces = Telemetry().traces
    calls = 5_000

    def seconds() -> float:
        start = time.perf_counter()
        for _ in range(calls):
            with traces.call(METHOD, {}) as trace:
                trace.step("authorised")
        return time.perf_counter() - start

    # The quickest of several rounds: what the code costs, not what else the machine did.
    assert min(seconds() for _ in range(20)) / calls < 1e-6
