"""What is left, told behind an answer.

The fields and parameters are those of the IETF draft "RateLimit header fields for HTTP"
(draft-ietf-httpapi-ratelimit-headers-10) as trailing metadata of gRPC: a policy for the day's
quota and for each limit the answer took of, with ``q`` units in ``w`` seconds; and of each
``r`` units left now, all there again in ``t`` seconds. Of a limit ``q`` is what is earned in
``w``, and ``r`` counts down from its burst.

Trailing metadata costs a call a tenth of what it costs at all. So it is sent where somebody may
want to slow down: where limits hold, or less than a fifth of the day's quota is left.
"""

from collections.abc import Iterable
from contextvars import ContextVar
from typing import Final

from gateway.meter.model import SECONDS_A_DAY, Left
from gateway.meter.rates import MICROS
from operators.limits import Limit

LEFT: Final = "ratelimit"
POLICY: Final = "ratelimit-policy"
DAILY: Final = "daily-records"
"""Name of the daily quota of records beside the ids of limits."""

Told = tuple[tuple[str, str], ...]

_PLENTY: Final = 5

_told: ContextVar[Told] = ContextVar("left", default=())


def tell_left(left: Left, limits: Iterable[Limit]) -> None:
    """Keep what is left, where it matters, for the end of the call that this task answers."""
    if not left.rates and left.quota * _PLENTY >= left.of:
        return
    policy = f'"{DAILY}";q={left.of};w={SECONDS_A_DAY}'
    units = f'"{DAILY}";r={left.quota};t={left.seconds}'
    if left.rates:
        known = {limit.limit_id: limit for limit in limits}
        for limit_id, cells, micros in left.rates:
            limit = known[limit_id]
            policy += f', "{limit_id}";q={limit.count};w={limit.period_seconds}'
            units += f', "{limit_id}";r={cells};t={-(-micros // MICROS)}'
    _told.set(((POLICY, policy), (LEFT, units)))


def told_left() -> Told:
    """Return the trailing metadata that tell it, none where the call was charged nothing or
    much is left."""
    return _told.get()
