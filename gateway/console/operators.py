"""Operators: all of them, and one with its licences, clients and scopes; stopped and let go on."""

from collections.abc import Iterable
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp
from starlette.responses import Response

from creditgate.v1 import operator_service_pb2 as pb
from creditgate.v1 import usage_service_pb2 as usage_pb
from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.console.visit import Visit
from gateway.pages.moments import day
from gateway.pages.terms import OPERATOR_STATES
from gateway.pages.words import said
from operators.model import OPERATOR
from operators.suspended import CONFORMANCE

_MOST_CHANGES: Final = 20


async def show_all(visit: Visit) -> Response:
    """Show every operator."""
    listed = await visit.every_page(
        pb.ListOperatorsRequest(page_size=200), pb.ListOperatorsResponse
    )
    return visit.page(
        "operators.html",
        tab="/operators",
        operators=[(operator, _state(visit, operator)) for operator in listed.operators],
    )


async def show(visit: Visit) -> Response:
    """Show one operator, and what may be done about it."""
    operator_id = visit.named("operator_id")
    operator = (
        await visit.ask(pb.GetOperatorRequest(operator_id=operator_id), pb.GetOperatorResponse)
    ).operator
    changes = await _changes(visit, operator_id)
    return visit.page(
        "operator.html",
        tab="/operators",
        operator=operator,
        state=_state(visit, operator),
        active=operator.state == OperatorState.OPERATOR_STATE_ACTIVE,
        suspended=operator.state == OperatorState.OPERATOR_STATE_SUSPENDED,
        licences=await _licences(visit, operator_id),
        clients=await _clients(visit, operator_id),
        grants=await _grants(visit, operator_id),
        changes=changes,
        for_findings=any(each.changed_by == CONFORMANCE for each in changes[:1]),
        use_shown=visit.may(usage_pb.GetStatementRequest),
        may_suspend=visit.deed(pb.SuspendOperatorRequest),
        may_reinstate=visit.deed(pb.ReinstateOperatorRequest),
    )


async def suspend(visit: Visit) -> Response:
    """Suspend the operator."""
    operator_id = visit.named("operator_id")
    form = await visit.form("suspend", operator_id)
    await visit.ask(
        pb.SuspendOperatorRequest(operator_id=operator_id, reason=form.get("reason", "")),
        pb.SuspendOperatorResponse,
    )
    return visit.sent_on(f"/operators/{operator_id}", done="suspended")


async def reinstate(visit: Visit) -> Response:
    """Let the operator go on, or propose it."""
    operator_id = visit.named("operator_id")
    form = await visit.form("reinstate", operator_id)
    answer = await visit.ask(
        pb.ReinstateOperatorRequest(operator_id=operator_id, reason=form.get("reason", "")),
        pb.ReinstateOperatorResponse,
    )
    done = "proposed" if answer.proposal_id else "reinstated"
    return visit.sent_on(f"/operators/{operator_id}", done=done)


def _state(visit: Visit, operator: pb.Operator) -> str:
    return said(visit.language, OPERATOR_STATES[operator.state])


async def _licences(visit: Visit, operator_id: str) -> list[dict[str, Any]]:
    if not visit.may(pb.ListLicencesRequest):
        return []
    listed = await visit.ask(
        pb.ListLicencesRequest(operator_id=operator_id), pb.ListLicencesResponse
    )
    return [
        {
            "number": licence.number,
            "items": licence.items,
            "regions": licence.regions,
            "quota": f"{licence.daily_record_quota:,}",
            "from": _day(visit, licence.validity.start_time),
            "until": _day(visit, licence.validity.end_time),
            "stands": not licence.HasField("revoke_time")
            and licence.validity.start_time.seconds
            <= visit.now
            < licence.validity.end_time.seconds,
        }
        for licence in listed.licences
    ]


async def _clients(visit: Visit, operator_id: str) -> list[tuple[str, str, str]]:
    if not visit.may(pb.ListClientsRequest):
        return []
    listed = await visit.every_page(
        pb.ListClientsRequest(operator_id=operator_id, page_size=200), pb.ListClientsResponse
    )
    return [
        (client.client_id, client.binding, client.authentication)
        for client in listed.clients
        if not client.HasField("remove_time")
    ]


async def _grants(visit: Visit, operator_id: str) -> list[str]:
    if not visit.may(pb.ListScopeGrantsRequest):
        return []
    listed = await visit.ask(
        pb.ListScopeGrantsRequest(grantee=operator_id), pb.ListScopeGrantsResponse
    )
    return sorted(_standing(listed.grants))


async def _changes(visit: Visit, operator_id: str) -> list[pb.AuthorityChange]:
    if not visit.may(pb.ListAuthorityChangesRequest):
        return []
    listed = await visit.every_page(
        pb.ListAuthorityChangesRequest(kind=OPERATOR, id=operator_id, page_size=200),
        pb.ListAuthorityChangesResponse,
    )
    return list(listed.changes)[: -_MOST_CHANGES - 1 : -1]


def _standing(grants: Iterable[pb.ScopeGrant]) -> set[str]:
    return {grant.scope for grant in grants if not grant.HasField("withdraw_time")}


def _day(visit: Visit, instant: Timestamp) -> str:
    return day(instant.seconds, visit.language)
