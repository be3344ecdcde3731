"""One span for each call, with an event for each step of the path.

A span costs several microseconds, an event one: so steps are events of the call's span,
and when nothing is exported both are objects that do nothing.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from time import perf_counter
from types import TracebackType
from typing import Final, Protocol, Self

from opentelemetry.trace import (
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    format_trace_id,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from creditgate.refusal import Refused, reason_name
from gateway.telemetry.counts import StepCounts


class CallTrace(Protocol):
    """The trace of one call; used as a context manager around it."""

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits, "" when the call is not traced."""
        ...

    def step(self, name: str) -> None:
        """Note that the path reached a step."""
        ...

    def carried(self) -> Mapping[str, str]:
        """Return what another gateway continues the trace by (W3C Trace Context)."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class SilentTrace:
    """The trace of a call nobody traces."""

    __slots__ = ()

    @property
    def trace_id(self) -> str:
        """Empty."""
        return ""

    def step(self, name: str) -> None:
        """Do nothing."""

    def carried(self) -> Mapping[str, str]:
        """Return nothing."""
        return {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Do nothing."""


SILENT: Final[CallTrace] = SilentTrace()
_current: ContextVar[CallTrace | None] = ContextVar("creditgate_call_trace", default=None)
_CUT_OFF: Final = "cut off"
_PROPAGATOR: Final = TraceContextTextMapPropagator()


def step(name: str) -> None:
    """Note that the call being served reached a step."""
    if (trace := _current.get()) is not None:
        trace.step(name)


def carried() -> tuple[tuple[str, str], ...]:
    """Return the metadata by which what the call being served asks of others is traced with it."""
    trace = _current.get()
    return () if trace is None else tuple(trace.carried().items())


class _SpanTrace:
    """A call's span; a failure becomes its status, a refusal an attribute.

    A call that is cut off, by its client or a deadline, has failed in nothing: that is an event.
    """

    def __init__(
        self, tracer: Tracer, steps: StepCounts, method: str, carrier: Mapping[str, str]
    ) -> None:
        self._steps = steps
        self._last_step = perf_counter()
        service, _, name = method.partition("/")
        self._span = tracer.start_span(
            method,
            context=_PROPAGATOR.extract(carrier),
            kind=SpanKind.SERVER,
            attributes={"rpc.system": "grpc", "rpc.service": service, "rpc.method": name},
        )
        self._outer: CallTrace | None = None

    @property
    def trace_id(self) -> str:
        return format_trace_id(self._span.get_span_context().trace_id)

    def step(self, name: str) -> None:
        now = perf_counter()
        self._steps.add(name, now - self._last_step)
        self._last_step = now
        self._span.add_event(name)

    def carried(self) -> Mapping[str, str]:
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier, set_span_in_context(self._span))
        return carrier

    def __enter__(self) -> Self:
        self._outer = _current.get()
        _current.set(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, Refused):
            self._span.set_attribute("creditgate.refusal.reason", reason_name(error.reason))
        elif isinstance(error, Exception):
            # The type only: a message could hold subject data.
            self._span.set_status(Status(StatusCode.ERROR, type(error).__name__))
        elif error is not None:
            self._span.add_event(_CUT_OFF)
        self._span.end()
        # Not by a token: a stream that its client drops may be ended in another context.
        _current.set(self._outer)


class CallTraces:
    """Starts the trace of each call; ``tracer`` None traces nothing.

    ``steps`` is told how long the steps of traced calls take.
    """

    def __init__(self, tracer: Tracer | None, steps: StepCounts) -> None:
        self._tracer = tracer
        self._steps = steps

    def call(self, method: str, carrier: Mapping[str, str]) -> CallTrace:
        """Return the trace of a call of ``method`` ("Service/Method").

        ``carrier`` is the call's metadata: a ``traceparent`` in it (W3C Trace Context)
        is continued.
        """
        if self._tracer is None:
            return SILENT
        return _SpanTrace(self._tracer, self._steps, method, carrier)
