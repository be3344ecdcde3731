"""Scene of the emergency brake (刹车): all record answers stop, and go on when it is released."""

from typing import Final

from creditgate.v1 import brake_service_pb2 as pb
from creditgate.v1.usage_service_pb2 import ListUsageRequest, ListUsageResponse
from gateway.demo.account import Section, Step
from gateway.demo.cast import DEBARMENT, REGISTRATION
from gateway.demo.changing import settled
from gateway.demo.enrolment import REASON
from gateway.demo.invented import CORRECTED
from gateway.demo.stage import SERVED, Player, Stage, outcome

_BRAKED: Final = "EMERGENCY_BRAKE"


async def braked(stage: Stage) -> Section:
    """Stop everybody's record answers, look that duties go on, and let go."""
    alpha, beta = stage.alpha, stage.beta
    engaged = await stage.administrator.ask(
        pb.EngageBrakeRequest(reach=pb.BrakeReach(everything=True), reason=REASON),
        pb.EngageBrakeResponse,
    )
    stopped = await settled(lambda: _asked(alpha, REGISTRATION), SERVED)
    other = await settled(lambda: _asked(beta, DEBARMENT), SERVED)
    usage = await outcome(alpha.gateway.ask(ListUsageRequest(page_size=1), ListUsageResponse))
    await stage.administrator.ask(
        pb.ReleaseBrakeRequest(brake_id=engaged.brake.brake_id, reason=REASON),
        pb.ReleaseBrakeResponse,
    )
    released = await settled(lambda: _asked(alpha, REGISTRATION), _BRAKED)
    return Section(
        "The emergency brake stops all record answers within a second (刹车)",
        (
            Step("alpha", "asks after one administrator pulled the brake", _BRAKED, stopped),
            Step("beta", "asks too", _BRAKED, other),
            Step("alpha", "looks at its usage meanwhile: all else goes on", SERVED, usage),
            Step("alpha", "asks after the brake was released", SERVED, released),
        ),
    )


async def _asked(player: Player, item: str) -> str:
    return await outcome(player.subject(CORRECTED, item))
