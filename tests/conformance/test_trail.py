"""What became of a finding is told when it became so, as it stood then."""

from sqlalchemy import insert

from creditgate.v1 import conformance_service_pb2 as pb
from gateway.conformance.finding_tables import FINDINGS
from gateway.conformance.holdings import Holdings
from gateway.conformance.model import DISMISSED, RECTIFIED
from gateway.conformance.policy_file import read_policy
from gateway.conformance.removals import RemovalDuties
from gateway.conformance.trail import ConformanceTrail
from gateway.storage.engines import Engines
from tests.clock import NOW
from tests.conformance.disclosing import ByDays

OPEN = pb.FindingState.FINDING_STATE_OPEN
CONTESTED = pb.FindingState.FINDING_STATE_CONTESTED


def told(engines: Engines, **became: object) -> list[tuple[int, int, bool]]:
    """Keep a finding of what it became; return when its record's trace tells of it, with the
    state told and whether it is told closed."""
    row: dict[str, object] = {
        "finding_id": f"{NOW:010x}-00",
        "operator_id": "alpha",
        "record_id": "r-1",
        "kind": pb.FindingKind.FINDING_KIND_CONTENT_ALTERED,
        "state": OPEN,
        "severity": 1,
        "held_digest": b"",
        "event_sequence": 0,
        "revision_sequence": 0,
        "copy_digest": b"",
        "attestation_id": "",
        "detected_at": NOW,
        "counted_from": NOW,
        "deadline": NOW + 100,
        "closed_at": 0,
        "pardoned": False,
        "contest_statement": "",
        "evidence_digest": b"",
        "contested_at": 0,
        "decided_at": 0,
        "decided_by": "",
        "decision_reason": "",
    }
    with engines.evidence.begin() as connection:
        connection.execute(insert(FINDINGS).values(row | became))
    duties = RemovalDuties(engines, Holdings(engines), ByDays())
    trail = ConformanceTrail(engines.evidence, duties, read_policy(), lambda: NOW + 1_000)
    found = [
        (each.at - NOW, each.what)
        for each in trail.findings_of_record("r-1")
        if isinstance(each.what, pb.Finding)
    ]
    return [(at, what.state, what.HasField("close_time")) for at, what in found]


def test_a_finding_is_told_as_it_was_found_contested_decided_and_rectified(
    engines: Engines,
) -> None:
    assert told(
        engines,
        state=RECTIFIED,
        contested_at=NOW + 10,
        contest_statement="no",
        decided_at=NOW + 20,
        decided_by="administrator",
        closed_at=NOW + 30,
    ) == [
        (0, OPEN, False),
        (10, CONTESTED, False),
        (20, OPEN, False),
        (30, RECTIFIED, True),
    ]


def test_one_dismissed_at_once_is_told_twice(engines: Engines) -> None:
    assert told(engines, state=DISMISSED, decided_at=NOW + 5, closed_at=NOW + 5) == [
        (0, OPEN, False),
        (5, DISMISSED, True),
    ]
