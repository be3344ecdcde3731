"""Terms of conformance (一致性) as they are typed and shown on the command line."""

from typing import Final

from creditgate.v1.conformance_service_pb2 import (
    EnforcementStage,
    FindingKind,
    FindingState,
    WatchCoverage,
)
from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from gateway.cli.terms import listed, named, shown, starting

_STATE: Final = "FINDING_STATE_"
_COVERAGE: Final = "WATCH_COVERAGE_"


def finding_state(text: str) -> FindingState.ValueType:
    """Read where findings stand."""
    return FindingState.Value(named(text, _STATE, FindingState.keys()))


def finding_states(incomplete: str) -> list[str]:
    """Complete where findings stand."""
    return starting(incomplete, listed(_STATE, FindingState.keys()))


def show_finding_state(value: FindingState.ValueType) -> str:
    """Show where a finding stands."""
    return shown(FindingState.Name(value), _STATE)


def show_finding_kind(value: FindingKind.ValueType) -> str:
    """Show how a copy differs."""
    return shown(FindingKind.Name(value), "FINDING_KIND_")


def show_stage(value: EnforcementStage.ValueType) -> str:
    """Show what findings entail."""
    return shown(EnforcementStage.Name(value), "ENFORCEMENT_STAGE_") if value else "none"


def coverage(text: str) -> WatchCoverage.ValueType:
    """Read which events to watch."""
    return WatchCoverage.Value(named(text, _COVERAGE, WatchCoverage.keys()))


def coverages(incomplete: str) -> list[str]:
    """Complete which events to watch."""
    return starting(incomplete, listed(_COVERAGE, WatchCoverage.keys()))


def show_coverage(value: WatchCoverage.ValueType) -> str:
    """Show which events are watched."""
    return shown(WatchCoverage.Name(value), _COVERAGE)


def show_event_kind(value: DisclosureEventKind.ValueType) -> str:
    """Show what happened to a record."""
    return shown(DisclosureEventKind.Name(value), "DISCLOSURE_EVENT_KIND_")
