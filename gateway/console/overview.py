"""The first page: how the gateway stands, and what waits for somebody."""

from typing import NamedTuple

from starlette.responses import Response

from creditgate.v1 import brake_service_pb2 as brakes_pb
from creditgate.v1 import operator_service_pb2 as operators_pb
from creditgate.v1 import scope_service_pb2 as scopes_pb
from creditgate.v1.operator_service_pb2 import OperatorState
from creditgate.v1.scope_service_pb2 import ProposalState
from gateway.console.visit import Visit


class Card(NamedTuple):
    """One thing at a glance: where it leads, what it is, its number, and what that says."""

    to: str
    title: str
    number: int
    told: str


async def show(visit: Visit) -> Response:
    """Show how the gateway stands, as far as the visitor's roles reach."""
    cards: list[Card] = []
    if visit.may(brakes_pb.ListBrakesRequest):
        cards.append(await _brakes(visit))
    if visit.may(operators_pb.ListOperatorsRequest):
        cards.append(await _operators(visit))
    if visit.may(scopes_pb.ListProposalsRequest):
        cards.append(await _proposals(visit))
    return visit.page(
        "overview.html",
        tab="",
        cards=cards,
        guarded=visit.parts.view().authority.policy.guarded,
    )


async def _brakes(visit: Visit) -> Card:
    listed = await visit.every_page(
        brakes_pb.ListBrakesRequest(page_size=200), brakes_pb.ListBrakesResponse
    )
    engaged = len(listed.brakes)
    return Card(
        "/brakes",
        visit.say("紧急刹车", "Emergency brake"),
        engaged,
        visit.say("个正在刹车", "engaged") if engaged else visit.say("没有刹车", "none engaged"),
    )


async def _operators(visit: Visit) -> Card:
    listed = await visit.every_page(
        operators_pb.ListOperatorsRequest(page_size=200), operators_pb.ListOperatorsResponse
    )
    active = sum(
        operator.state == OperatorState.OPERATOR_STATE_ACTIVE for operator in listed.operators
    )
    others = len(listed.operators) - active
    return Card(
        "/operators",
        visit.say("运营机构", "Operators"),
        active,
        visit.say(f"家正常，{others} 家暂停或撤销", f"active, {others} suspended or revoked"),
    )


async def _proposals(visit: Visit) -> Card:
    listed = await visit.every_page(
        scopes_pb.ListProposalsRequest(state=ProposalState.PROPOSAL_STATE_PENDING, page_size=200),
        scopes_pb.ListProposalsResponse,
    )
    waiting = len(listed.proposals)
    return Card(
        "/proposals",
        visit.say("双人复核", "Proposals"),
        waiting,
        visit.say("项待复核", "waiting for a second person"),
    )
