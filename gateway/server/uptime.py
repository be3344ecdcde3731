"""How long the gateway was up, composed."""

from consent.overdue import SqlOverdue
from gateway.conformance.enforcer import Step
from gateway.conformance.holdings import Holdings
from gateway.conformance.policy import ConformancePolicy
from gateway.conformance.putting_off import PuttingOff
from gateway.conformance.removal_tables import DUTIES
from gateway.conformance.removals import RemovalDuties
from gateway.conformance.uptime import Uptime
from gateway.federation.asking.removal_tables import REGION_REMOVALS
from gateway.federation.asking.removals import RegionRemovals
from gateway.storage.engines import Engines
from gateway.usage.policy import AgreementPolicy
from gateway.usage.sparing import SparedDuties


def uptime_of(engines: Engines, policy: ConformancePolicy, agreement: AgreementPolicy) -> Uptime:
    """Return what beats, and puts off what operators owe, for one thread of a process."""
    removals = (
        (RemovalDuties(engines, Holdings(engines), policy), DUTIES),
        (RegionRemovals(engines, policy), REGION_REMOVALS),
    )
    return Uptime(
        engines.evidence,
        PuttingOff(
            SqlOverdue(engines.records),
            removals,
            max(policy.repeated_seconds, policy.false_seconds),
            [SparedDuties(agreement)],
        ),
        policy.silence_seconds,
        policy.grace_seconds,
    )


def while_up(uptime: Uptime, step: Step) -> Step:
    """Return ``step``, taken once what is due was put off, and not before."""

    def put_off_first(now: int) -> object:
        uptime.step(now)
        return step(now)

    put_off_first.__qualname__ = step.__qualname__
    return put_off_first
