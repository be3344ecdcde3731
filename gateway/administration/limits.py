"""LimitService: limits of rates (限流), set by one person and lifted by two."""

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1 import limit_service_pb2 as pb
from creditgate.v1.limit_service_pb2 import LimitPer, LimitUnit
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.administration.desk import Desk
from gateway.administration.journal import Judge, draft, stored
from gateway.administration.listing import page_by_id
from gateway.administration.presence import (
    conflict,
    exists,
    live_client,
    missing,
    present_operator,
)
from gateway.administration.request import checked, reason_faults, require, required
from gateway.authenticate.caller import Caller
from gateway.authority.view import AuthorityView
from operators.limits import LIMIT, MOST_IN_FORCE, MOST_REACHING, Limit
from operators.log import Draft


class LimitService(Desk):
    """Every method of creditgate.v1.LimitService.

    The methods take the request and the authenticated caller, whose scope was checked,
    and raise Refused.
    """

    async def create_limit(
        self, request: pb.CreateLimitRequest, caller: Caller
    ) -> pb.CreateLimitResponse:
        """Answer CreateLimit.

        Raises Refused INVALID_REQUEST; RESOURCE_NOT_FOUND for an operator, client or item
        there is not, since a limit on a misspelt name would hold nobody; RESOURCE_EXISTS for
        an id that is taken; STATE_CONFLICT where too many are in force.
        """
        wanted = _wanted(request)

        def judge(view: AuthorityView, now: int) -> list[Draft]:
            limits = view.authority.limits
            if wanted.limit_id in limits.by_id:
                raise exists("A limit has this limit_id; ids are not used again.")
            _require_target(view, wanted)
            made = wanted.model_copy(update={"created_at": now})
            if len(limits.in_force()) >= MOST_IN_FORCE or (
                limits.advanced({made.limit_id: made}).most_reaching() > MOST_REACHING
            ):
                raise conflict(
                    f"At most {MOST_IN_FORCE} limits are in force, {MOST_REACHING} of them for"
                    " one operator; retire some first."
                )
            return [draft(LIMIT, made.limit_id, made)]

        (change,) = await self._write(judge, caller, request.reason)
        return pb.CreateLimitResponse(limit=limit_message(stored(Limit, change)))

    async def retire_limit(
        self, request: pb.RetireLimitRequest, caller: Caller
    ) -> pb.RetireLimitResponse:
        """Answer RetireLimit.

        Raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND, or STATE_CONFLICT for one that
        was retired already.
        """
        outcome = await self._change(request, retiring(request), caller)
        response = pb.RetireLimitResponse(proposal_id=outcome.proposal_id)
        for change in outcome.changes:
            response.limit.CopyFrom(limit_message(stored(Limit, change)))
        return response

    async def list_limits(
        self, request: pb.ListLimitsRequest, caller: Caller
    ) -> pb.ListLimitsResponse:
        """Answer ListLimits; raises Refused INVALID_REQUEST."""
        del caller  # administrators see every limit
        by_id = self._feed.current().authority.limits.by_id
        operator_id = request.operator_id
        page, token = page_by_id(
            (
                id_
                for id_, limit in by_id.items()
                if (limit.in_force or request.show_retired)
                and (not operator_id or limit.reaches(operator_id))
            ),
            lambda limit_id: limit_message(by_id[limit_id]),
            page_size=request.page_size,
            token=request.page_token,
            filters=("limits", operator_id, str(request.show_retired)),
        )
        return pb.ListLimitsResponse(limits=page, next_page_token=token)


def retiring(request: pb.RetireLimitRequest) -> Judge:
    """Return the judge of a RetireLimit request; raises Refused INVALID_REQUEST."""
    require(reason_faults(request.reason))

    def judge(view: AuthorityView, now: int) -> list[Draft]:
        limit = view.authority.limits.by_id.get(request.limit_id)
        if limit is None:
            raise missing("No limit has this limit_id; ListLimits lists them.")
        if not limit.in_force:
            raise conflict("The limit was retired already.")
        return [draft(LIMIT, limit.limit_id, limit.model_copy(update={"retired_at": now}))]

    return judge


def limit_message(limit: Limit) -> pb.Limit:
    """Return a limit as the contract has it."""
    message = pb.Limit(
        limit_id=limit.limit_id,
        operator_id=limit.operator_id,
        per=LimitPer.ValueType(limit.per),
        client_id=limit.client_id,
        item=limit.item,
        purpose=Purpose.ValueType(limit.purpose),
        unit=LimitUnit.ValueType(limit.unit),
        count=limit.count,
        period_seconds=limit.period_seconds,
        burst=limit.burst,
        create_time=Timestamp(seconds=limit.created_at),
        etag=str(limit.version),
    )
    if limit.retired_at is not None:
        message.retire_time.seconds = limit.retired_at
    return message


def _wanted(request: pb.CreateLimitRequest) -> Limit:
    asked = request.limit
    limit, faults = checked(
        Limit,
        {
            "limit_id": asked.limit_id,
            "operator_id": asked.operator_id,
            "per": asked.per,
            "client_id": asked.client_id,
            "item": asked.item,
            "purpose": asked.purpose,
            "unit": asked.unit,
            "count": asked.count,
            "period_seconds": asked.period_seconds,
            "burst": asked.burst,
            "created_at": 0,
        },
        ("limit",),
    )
    return required(limit, [*reason_faults(request.reason), *faults])


def _require_target(view: AuthorityView, limit: Limit) -> None:
    authority = view.authority
    if limit.operator_id:
        present_operator(authority, limit.operator_id)
    if limit.client_id:
        client = live_client(authority, limit.client_id)
        if limit.operator_id not in ("", client.operator_id):
            raise missing("The operator has no client with this client_id; ListClients lists them.")
    if limit.item and view.catalogue.get(limit.item) is None:
        raise missing("No catalogue item has this code; ListCatalogueItems lists them.")
