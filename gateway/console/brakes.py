"""The emergency brake (刹车): what is stopped, engaged by one person, released by two."""

from typing import Final

from starlette.responses import Response

from creditgate.v1 import brake_service_pb2 as pb
from creditgate.v1 import operator_service_pb2 as operators_pb
from gateway.console.visit import Visit
from gateway.console.words import stopped
from gateway.pages.troubles import NotShown

_MOST_RELEASED: Final = 20


async def show(visit: Visit) -> Response:
    """Show what is stopped, and how to stop more or let go."""
    listed = await visit.every_page(
        pb.ListBrakesRequest(show_released=True, page_size=200), pb.ListBrakesResponse
    )
    told = [(brake, _stops(visit, brake)) for brake in reversed(listed.brakes)]
    return visit.page(
        "brakes.html",
        tab="/brakes",
        engaged=[each for each in told if not each[0].HasField("release_time")],
        released=[each for each in told if each[0].HasField("release_time")][:_MOST_RELEASED],
        may_engage=visit.deed(pb.EngageBrakeRequest),
        may_release=visit.deed(pb.ReleaseBrakeRequest),
        guarded=visit.parts.view().authority.policy.guarded,
        operators=await _operators(visit),
        items=_items(visit),
    )


async def engage(visit: Visit) -> Response:
    """Stop record answers."""
    form = await visit.form("engage")
    await visit.ask(
        pb.EngageBrakeRequest(reach=_reach(form), reason=form.get("reason", "")),
        pb.EngageBrakeResponse,
    )
    return visit.sent_on("/brakes", done="engaged")


async def release(visit: Visit) -> Response:
    """Let go of one brake, or propose it."""
    brake_id = visit.named("brake_id")
    form = await visit.form("release", brake_id)
    answer = await visit.ask(
        pb.ReleaseBrakeRequest(brake_id=brake_id, reason=form.get("reason", "")),
        pb.ReleaseBrakeResponse,
    )
    return visit.sent_on("/brakes", done="proposed" if answer.proposal_id else "released")


def _reach(form: dict[str, str]) -> pb.BrakeReach:
    match form.get("reach"):
        case "everything":
            return pb.BrakeReach(everything=True)
        case "operator":
            return pb.BrakeReach(operator_id=form.get("operator", ""))
        case "item":
            return pb.BrakeReach(item=form.get("item", ""))
        case _:
            raise NotShown("changed")


def _stops(visit: Visit, brake: pb.Brake) -> str:
    reach = brake.reach
    if reach.operator_id:
        return stopped("OPERATOR", reach.operator_id, visit.language)
    if reach.item:
        return stopped("ITEM", reach.item, visit.language)
    return stopped("EVERYTHING", "", visit.language)


async def _operators(visit: Visit) -> list[tuple[str, str]]:
    if not visit.may(operators_pb.ListOperatorsRequest):
        return []
    listed = await visit.every_page(
        operators_pb.ListOperatorsRequest(page_size=200), operators_pb.ListOperatorsResponse
    )
    return [(each.operator_id, each.display_name) for each in listed.operators]


def _items(visit: Visit) -> list[tuple[str, str]]:
    # Of the view: which items there are is public, and a role without it may pull the brake.
    catalogue = visit.parts.view().catalogue
    return [
        (code, visit.say(item.name_zh, item.name_en)) for code, item in sorted(catalogue.items())
    ]
