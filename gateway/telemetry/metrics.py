"""The counts as OpenTelemetry metrics, read when a collector asks.

Distributions go out as counters with the attribute ``le`` (upper bound, inclusive):
the OpenTelemetry API has no histogram that can be observed from counts.
"""

from collections.abc import Iterable, Mapping

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from creditgate.refusal import reason_name
from gateway.telemetry.counts import (
    CallCounts,
    CertificateCounts,
    Distribution,
    MeteringCounts,
    PulseCounts,
    StepCounts,
    UsageCounts,
    UsageKey,
)


def observe_calls(meter: Meter, calls: CallCounts) -> None:
    """Export what `CallCounts` holds."""

    def ended(_: CallbackOptions) -> Iterable[Observation]:
        for kind, count in calls.ended.copy().items():
            attributes = {"rpc.method": kind.method, "rpc.response.status_code": kind.status}
            if kind.reason:
                attributes["creditgate.refusal.reason"] = reason_name(kind.reason)
            yield Observation(count, attributes)

    def seconds(_: CallbackOptions) -> Iterable[Observation]:
        for method, taken in calls.seconds.copy().items():
            yield from _bounded(taken, {"rpc.method": method})

    def seconds_sum(_: CallbackOptions) -> Iterable[Observation]:
        for method, taken in calls.seconds.copy().items():
            yield Observation(taken.sum, {"rpc.method": method})

    meter.create_observable_counter("creditgate.calls", [ended], "{call}", "Calls ended")
    meter.create_observable_counter(
        "creditgate.call.duration.bucket", [seconds], "{call}", "Calls no longer than le seconds"
    )
    meter.create_observable_counter(
        "creditgate.call.duration.sum", [seconds_sum], "s", "Time of all calls"
    )


def observe_steps(meter: Meter, steps: StepCounts) -> None:
    """Export what `StepCounts` holds."""

    def seconds(_: CallbackOptions) -> Iterable[Observation]:
        for step, taken in steps.seconds.copy().items():
            yield from _bounded(taken, {"creditgate.step": step})

    def seconds_sum(_: CallbackOptions) -> Iterable[Observation]:
        for step, taken in steps.seconds.copy().items():
            yield Observation(taken.sum, {"creditgate.step": step})

    meter.create_observable_counter(
        "creditgate.step.duration.bucket", [seconds], "{step}", "Steps no longer than le seconds"
    )
    meter.create_observable_counter(
        "creditgate.step.duration.sum", [seconds_sum], "s", "Time of all steps"
    )


def observe_metering(meter: Meter, metering: MeteringCounts) -> None:
    """Export what `MeteringCounts` holds."""

    def groups(_: CallbackOptions) -> Iterable[Observation]:
        yield from _bounded(metering.groups, {})

    def claims(_: CallbackOptions) -> Iterable[Observation]:
        yield Observation(metering.groups.sum)

    meter.create_observable_counter(
        "creditgate.commit.size.bucket", [groups], "{commit}", "Group commits of up to le claims"
    )
    meter.create_observable_counter(
        "creditgate.commit.size.sum", [claims], "{claim}", "Claims committed in groups"
    )


def observe_keeper(meter: Meter, keeper: PulseCounts) -> None:
    """Export what `PulseCounts` holds."""

    def silent(_: CallbackOptions) -> Iterable[Observation]:
        yield Observation(keeper.silent_seconds)

    def losses(_: CallbackOptions) -> Iterable[Observation]:
        yield Observation(keeper.losses)

    meter.create_observable_gauge(
        "creditgate.keeper.silence", [silent], "s", "Time since the keeper's last sign of life"
    )
    meter.create_observable_counter(
        "creditgate.keeper.losses", [losses], "{loss}", "Times the keeper gave no sign for too long"
    )


def observe_certificates(meter: Meter, certificates: CertificateCounts) -> None:
    """Export what `CertificateCounts` holds."""

    def left(_: CallbackOptions) -> Iterable[Observation]:
        for setting, seconds in certificates.left_seconds.copy().items():
            yield Observation(seconds, {"creditgate.setting": setting})

    meter.create_observable_gauge(
        "creditgate.certificate.remaining", [left], "s", "Time until the first certificate ends"
    )


def observe_usage(meter: Meter, usage: UsageCounts) -> None:
    """Export what `UsageCounts` holds.

    What is counted together goes out with the attribute that OpenTelemetry's SDK has for it
    (Metrics SDK, overflow attribute).
    """

    def records(_: CallbackOptions) -> Iterable[Observation]:
        for key, (count, _fee) in usage.used.copy().items():
            yield Observation(count, _use(key))

    def fees(_: CallbackOptions) -> Iterable[Observation]:
        for key, (_count, fee) in usage.used.copy().items():
            yield Observation(fee, _use(key))

    meter.create_observable_counter(
        "creditgate.usage.records", [records], "{record}", "Records used, or credited"
    )
    meter.create_observable_counter(
        "creditgate.usage.fees", [fees], "{micro-yuan}", "Fees of use at list price, or credited"
    )


def _use(key: UsageKey | None) -> Mapping[str, str | bool]:
    if key is None:
        return {"otel.metric.overflow": True}
    return {
        "creditgate.operator": key.operator_id,
        "creditgate.item": key.item,
        "creditgate.purpose": key.purpose,
        "creditgate.credited": key.credited,
    }


def _bounded(distribution: Distribution, attributes: Mapping[str, str]) -> Iterable[Observation]:
    names = (*(f"{bound:g}" for bound in distribution.bounds), "+Inf")
    for name, count in zip(names, distribution.cumulative(), strict=True):
        yield Observation(count, {**attributes, "le": name})
