"""BrakeService: the emergency brake (刹车), engaged by one person and released by two."""

from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import ValidationError

from creditgate.refusal import Violation
from creditgate.v1 import brake_service_pb2 as pb
from gateway.administration.desk import Desk, actor, id_in_order
from gateway.administration.journal import Judge, draft, stored
from gateway.administration.listing import page_by_id
from gateway.administration.presence import conflict, missing, present_operator
from gateway.administration.request import reason_faults, require
from gateway.authenticate.caller import Caller
from gateway.authority.view import AuthorityView
from operators.brakes import BRAKE, MOST_ENGAGED, Brake, Reach
from operators.log import Draft

_REACHES: Final[dict[str, Reach]] = {
    "everything": "EVERYTHING",
    "operator_id": "OPERATOR",
    "item": "ITEM",
}


class BrakeService(Desk):
    """Every method of creditgate.v1.BrakeService.

    The methods take the request and the authenticated caller, whose scope was checked,
    and raise Refused.
    """

    async def engage_brake(
        self, request: pb.EngageBrakeRequest, caller: Caller
    ) -> pb.EngageBrakeResponse:
        """Answer EngageBrake.

        Raises Refused INVALID_REQUEST; RESOURCE_NOT_FOUND for an operator or item there is
        not, since a brake on a misspelt name would stop nothing; STATE_CONFLICT where too
        many are engaged.
        """
        wanted = _wanted(request, actor(caller), self._clock.now())
        standing: list[Brake] = []

        def judge(view: AuthorityView, now: int) -> list[Draft]:
            _require_target(view, wanted)
            engaged = view.authority.brakes.engaged()
            standing[:] = [
                each
                for each in engaged
                if each.stops_same(wanted) and each.engaged_by == wanted.engaged_by
            ]
            if standing:
                return []
            if len(engaged) >= MOST_ENGAGED:
                raise conflict("Too many brakes are engaged; one that reaches further stops more.")
            return [draft(BRAKE, wanted.brake_id, wanted.model_copy(update={"engaged_at": now}))]

        changes = await self._write(judge, caller, request.reason)
        brake = stored(Brake, changes[0]) if changes else standing[0]
        return pb.EngageBrakeResponse(brake=brake_message(brake))

    async def release_brake(
        self, request: pb.ReleaseBrakeRequest, caller: Caller
    ) -> pb.ReleaseBrakeResponse:
        """Answer ReleaseBrake.

        Raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND, or STATE_CONFLICT for one that
        was released already.
        """
        outcome = await self._change(request, releasing(request), caller)
        response = pb.ReleaseBrakeResponse(proposal_id=outcome.proposal_id)
        for change in outcome.changes:
            response.brake.CopyFrom(brake_message(stored(Brake, change)))
        return response

    async def list_brakes(
        self, request: pb.ListBrakesRequest, caller: Caller
    ) -> pb.ListBrakesResponse:
        """Answer ListBrakes; raises Refused INVALID_REQUEST."""
        del caller  # administrators see every brake
        by_id = self._feed.current().authority.brakes.by_id
        page, token = page_by_id(
            (id_ for id_, brake in by_id.items() if brake.engaged or request.show_released),
            lambda brake_id: brake_message(by_id[brake_id]),
            page_size=request.page_size,
            token=request.page_token,
            filters=("brakes", str(request.show_released)),
        )
        return pb.ListBrakesResponse(brakes=page, next_page_token=token)


def releasing(request: pb.ReleaseBrakeRequest) -> Judge:
    """Return the judge of a ReleaseBrake request; raises Refused INVALID_REQUEST."""
    require(reason_faults(request.reason))

    def judge(view: AuthorityView, now: int) -> list[Draft]:
        brake = view.authority.brakes.by_id.get(request.brake_id)
        if brake is None:
            raise missing("No brake has this brake_id; ListBrakes lists them.")
        if not brake.engaged:
            raise conflict("The brake was released already.")
        released = {"released_at": now, "release_reason": request.reason}
        return [draft(BRAKE, brake.brake_id, brake.model_copy(update=released))]

    return judge


def brake_message(brake: Brake) -> pb.Brake:
    """Return a brake as the contract has it."""
    message = pb.Brake(
        brake_id=brake.brake_id,
        reach=_reach_message(brake),
        engaged_by=brake.engaged_by,
        engage_time=Timestamp(seconds=brake.engaged_at),
        reason=brake.reason,
        release_reason=brake.release_reason,
        etag=str(brake.version),
    )
    if brake.released_at is not None:
        message.release_time.seconds = brake.released_at
    return message


def _reach_message(brake: Brake) -> pb.BrakeReach:
    if brake.reach == "OPERATOR":
        return pb.BrakeReach(operator_id=brake.target)
    if brake.reach == "ITEM":
        return pb.BrakeReach(item=brake.target)
    return pb.BrakeReach(everything=True)


def _wanted(request: pb.EngageBrakeRequest, engaged_by: str, now: int) -> Brake:
    faults = reason_faults(request.reason)
    chosen = request.reach.WhichOneof("reach")
    if chosen is None or (chosen == "everything" and not request.reach.everything):
        faults.append(Violation("reach", "say what to stop: everything, an operator or an item"))
        require(faults)
    assert chosen is not None
    try:
        brake = Brake(
            brake_id=id_in_order(now),
            reach=_REACHES[chosen],
            target="" if chosen == "everything" else str(getattr(request.reach, chosen)),
            engaged_by=engaged_by,
            engaged_at=now,
            reason="" if faults else request.reason,
        )
    except ValidationError:
        faults.append(Violation(f"reach.{chosen}", "use the id of an operator or code of an item"))
        require(faults)
        raise
    require(faults)
    return brake


def _require_target(view: AuthorityView, brake: Brake) -> None:
    if brake.reach == "OPERATOR":
        present_operator(view.authority, brake.target)
    elif brake.reach == "ITEM" and view.catalogue.get(brake.target) is None:
        raise missing("No catalogue item has this code; ListCatalogueItems lists them.")
