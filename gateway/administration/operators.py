"""Operators: registered, renamed, suspended, reinstated, revoked for good."""

import asyncio

from creditgate.v1 import operator_service_pb2 as pb
from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.administration.desk import Desk
from gateway.administration.journal import Judge, draft, stored
from gateway.administration.listing import page_by_id
from gateway.administration.message import operator_message
from gateway.administration.presence import (
    conflict,
    exists,
    present_operator,
    require_etag,
    standing_operator,
)
from gateway.administration.request import etag_faults, operator_of, reason_faults, require
from gateway.authenticate.caller import Caller
from gateway.authority.view import AuthorityView
from operators.authority import Authority
from operators.log import Draft
from operators.model import OPERATOR, Operator
from operators.suspended import suspension_of

_ACTIVE = OperatorState.OPERATOR_STATE_ACTIVE
_SUSPENDED = OperatorState.OPERATOR_STATE_SUSPENDED
_REVOKED = OperatorState.OPERATOR_STATE_REVOKED


class Operators(Desk):
    """The methods of OperatorService about operators themselves."""

    async def create_operator(
        self, request: pb.CreateOperatorRequest, caller: Caller
    ) -> pb.CreateOperatorResponse:
        """Answer CreateOperator; raises Refused INVALID_REQUEST, RESOURCE_EXISTS."""
        operator = operator_of(request.operator, reason_faults(request.reason))

        def judge(view: AuthorityView, _now: int) -> list[Draft]:
            _require_new(view.authority, operator.operator_id)
            return [draft(OPERATOR, operator.operator_id, operator)]

        (change,) = await self._write(judge, caller, request.reason)
        return pb.CreateOperatorResponse(operator=operator_message(stored(Operator, change)))

    async def get_operator(
        self, request: pb.GetOperatorRequest, caller: Caller
    ) -> pb.GetOperatorResponse:
        """Answer GetOperator; raises Refused RESOURCE_NOT_FOUND."""
        del caller  # administrators see every operator
        operator = present_operator(self._feed.current().authority, request.operator_id)
        return pb.GetOperatorResponse(operator=operator_message(operator))

    async def list_operators(
        self, request: pb.ListOperatorsRequest, caller: Caller
    ) -> pb.ListOperatorsResponse:
        """Answer ListOperators; raises Refused INVALID_REQUEST."""
        del caller  # administrators see every operator
        operators = self._feed.current().authority.operators
        page, token = page_by_id(
            operators,
            lambda operator_id: operator_message(operators[operator_id]),
            page_size=request.page_size,
            token=request.page_token,
            filters=("operators",),
        )
        return pb.ListOperatorsResponse(operators=page, next_page_token=token)

    async def update_operator(
        self, request: pb.UpdateOperatorRequest, caller: Caller
    ) -> pb.UpdateOperatorResponse:
        """Answer UpdateOperator.

        Raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND, ETAG_MISMATCH. A revoked
        operator's name and code can still be corrected: what it owes names them. Where nothing
        would change nothing is written.
        """
        faults = reason_faults(request.reason)
        faults += etag_faults("operator.etag", request.operator.etag)
        named = operator_of(request.operator, faults)

        def judge(view: AuthorityView, _now: int) -> list[Draft]:
            present = present_operator(view.authority, named.operator_id)
            require_etag(present, request.operator.etag)
            changed = named.model_dump(include={"display_name", "uscc", "operator_class"})
            update = _next(present, **changed)
            return [] if update.document == present.as_document() else [update]

        changes = await self._write(judge, caller, request.reason)
        if not changes:
            return pb.UpdateOperatorResponse(operator=operator_message(self._known(named)))
        return pb.UpdateOperatorResponse(operator=operator_message(stored(Operator, changes[0])))

    def _known(self, named: Operator) -> Operator:
        return present_operator(self._feed.current().authority, named.operator_id)

    async def suspend_operator(
        self, request: pb.SuspendOperatorRequest, caller: Caller
    ) -> pb.SuspendOperatorResponse:
        """Answer SuspendOperator.

        One that is suspended for findings stays so then, whatever it mends, until an administrator
        reinstates it. Raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND, or STATE_CONFLICT where
        an administrator has suspended the operator already.
        """
        require(reason_faults(request.reason))
        before = None
        if request.operator_id in self._feed.current().authority.operators:
            before = await asyncio.to_thread(suspension_of, self._log, request.operator_id)

        def judge(view: AuthorityView, _now: int) -> list[Draft]:
            present = standing_operator(view.authority, request.operator_id)
            if present.state != _ACTIVE:
                if before is None or before.operator.version != present.version:
                    raise conflict("The operator was changed just now; repeat.")
                if not before.own:
                    raise conflict("The operator is suspended already.")
            return [_next(present, state=_SUSPENDED)]

        (change,) = await self._write(judge, caller, request.reason)
        return pb.SuspendOperatorResponse(operator=operator_message(stored(Operator, change)))

    async def reinstate_operator(
        self, request: pb.ReinstateOperatorRequest, caller: Caller
    ) -> pb.ReinstateOperatorResponse:
        """Answer ReinstateOperator.

        Raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND, or STATE_CONFLICT unless the
        operator is suspended.
        """
        outcome = await self._change(request, reinstating(request), caller)
        response = pb.ReinstateOperatorResponse(proposal_id=outcome.proposal_id)
        for change in outcome.changes:
            response.operator.CopyFrom(operator_message(stored(Operator, change)))
        return response

    async def revoke_operator(
        self, request: pb.RevokeOperatorRequest, caller: Caller
    ) -> pb.RevokeOperatorResponse:
        """Answer RevokeOperator.

        Raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND, or STATE_CONFLICT for an
        operator revoked already.
        """
        require(reason_faults(request.reason))

        def judge(view: AuthorityView, _now: int) -> list[Draft]:
            present = present_operator(view.authority, request.operator_id)
            if present.state == _REVOKED:
                raise conflict("The operator was revoked already.")
            return [_next(present, state=_REVOKED)]

        (change,) = await self._write(judge, caller, request.reason)
        return pb.RevokeOperatorResponse(operator=operator_message(stored(Operator, change)))


def reinstating(request: pb.ReinstateOperatorRequest) -> Judge:
    """Return the judge of a ReinstateOperator request; raises Refused INVALID_REQUEST."""
    require(reason_faults(request.reason))

    def judge(view: AuthorityView, _now: int) -> list[Draft]:
        present = standing_operator(view.authority, request.operator_id)
        if present.state != _SUSPENDED:
            raise conflict("The operator is not suspended; there is nothing to reinstate.")
        return [_next(present, state=_ACTIVE)]

    return judge


def _next(present: Operator, **changed: object) -> Draft:
    return draft(OPERATOR, present.operator_id, present.model_copy(update=changed))


def _require_new(authority: Authority, operator_id: str) -> None:
    if operator_id in authority.operators:
        raise exists("There is already an operator of this operator_id; choose another.")
    client = authority.clients.get(operator_id)
    # Grants name their grantee by id alone: one party's scopes must not reach another.
    if client is not None and not client.acts_for_operator:
        raise exists("A client of another role has this id; choose another operator_id.")
