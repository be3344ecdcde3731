"""Conformance (一致性): where every operator stands with the copies it holds."""

from typing import NamedTuple

from starlette.responses import Response

from creditgate.v1 import conformance_service_pb2 as pb
from creditgate.v1 import operator_service_pb2 as operators_pb
from creditgate.v1.conformance_service_pb2 import EnforcementStage
from gateway.console.visit import Visit
from gateway.pages.moments import moment
from gateway.pages.terms import FINDING_KINDS, STAGES
from gateway.pages.words import said


class Standing(NamedTuple):
    """One operator's: its stage and findings in words, its removals, its last attestation."""

    operator_id: str
    name: str
    stage: str
    sound: bool
    findings: list[tuple[str, int]]
    overdue: int
    outstanding: int
    entitled: int
    attested: str


async def show(visit: Visit) -> Response:
    """Show a page of operators."""
    listed = await visit.ask(
        operators_pb.ListOperatorsRequest(
            page_size=20, page_token=visit.request.query_params.get("page", "")
        ),
        operators_pb.ListOperatorsResponse,
    )
    return visit.page(
        "conformance.html",
        tab="/conformance",
        standings=[await _standing(visit, operator) for operator in listed.operators],
        more=listed.next_page_token,
    )


async def _standing(visit: Visit, operator: operators_pb.Operator) -> Standing:
    found = await visit.ask(
        pb.GetConformanceRequest(operator_id=operator.operator_id), pb.GetConformanceResponse
    )
    attested = found.HasField("last_attestation")
    return Standing(
        operator.operator_id,
        operator.display_name,
        said(visit.language, STAGES[found.stage]),
        found.stage == EnforcementStage.ENFORCEMENT_STAGE_UNSPECIFIED,
        [
            (said(visit.language, FINDING_KINDS[each.kind]), each.standing)
            for each in found.standing
        ],
        found.overdue_removals,
        found.outstanding_removals,
        found.entitled_copies,
        moment(found.last_attestation.attest_time.seconds, visit.language)
        if attested
        else visit.say("尚未申报", "none yet"),
    )
