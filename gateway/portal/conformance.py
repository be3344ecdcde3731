"""Conformance (一致性): how the operator stands with the copies it holds, and what is found."""

from typing import Final, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp
from starlette.responses import Response

from creditgate.v1 import conformance_service_pb2 as pb
from creditgate.v1.conformance_service_pb2 import EnforcementStage, FindingState
from gateway.pages.terms import FINDING_KINDS, FINDING_STATES, STAGES
from gateway.pages.words import said
from gateway.portal.visit import Visit

_FINDINGS: Final = 20
_CHANGES: Final = 10


class Found(NamedTuple):
    """A finding in words; ``stands`` tells whether it counts against the operator."""

    finding_id: str
    kind: str
    state: str
    stands: bool
    about: str
    detected: str
    deadline: str


async def show(visit: Visit) -> Response:
    """Show how the operator stands, and a page of its findings, newest first."""
    standing = await visit.ask(pb.GetConformanceRequest(), pb.GetConformanceResponse)
    listed = await visit.ask(
        pb.ListFindingsRequest(
            page_size=_FINDINGS, page_token=visit.request.query_params.get("page", "")
        ),
        pb.ListFindingsResponse,
    )
    last = standing.last_attestation
    return visit.page(
        "conformance.html",
        tab="/conformance",
        stage=said(visit.language, STAGES[standing.stage]),
        sound=standing.stage == EnforcementStage.ENFORCEMENT_STAGE_UNSPECIFIED,
        entitled=f"{standing.entitled_copies:,}",
        attested=_when(visit, last.attest_time) if standing.HasField("last_attestation") else "",
        due=_when(visit, standing.next_attestation_due)
        if standing.HasField("next_attestation_due")
        else "",
        outstanding=standing.outstanding_removals,
        overdue=standing.overdue_removals,
        certified=bool(standing.certificate),
        counts=[
            (said(visit.language, FINDING_KINDS[each.kind]), f"{each.standing:,}")
            for each in standing.standing
        ],
        findings=[_found(visit, finding) for finding in listed.findings],
        more=listed.next_page_token,
        changes=[
            (_when(visit, change.change_time), said(visit.language, STAGES[change.stage]))
            for change in standing.stage_changes[:_CHANGES]
        ],
    )


def _found(visit: Visit, finding: pb.Finding) -> Found:
    return Found(
        finding.name.partition("/")[2],
        said(visit.language, FINDING_KINDS[finding.kind]),
        said(visit.language, FINDING_STATES[finding.state]),
        finding.state == FindingState.FINDING_STATE_OPEN,
        finding.record or finding.consent,
        _when(visit, finding.detect_time),
        _when(visit, finding.deadline) if finding.HasField("deadline") else "",
    )


def _when(visit: Visit, instant: Timestamp) -> str:
    return visit.when(instant.seconds)
