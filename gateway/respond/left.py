"""What is left, told behind an answer.

The fields and parameters are those of the IETF draft "RateLimit header fields for HTTP"
(draft-ietf-httpapi-ratelimit-headers-10) as trailing metadata of gRPC: a policy for the day's
quota and for each limit the answer took of, with ``q`` units in ``w`` seconds; and of each
``r`` units left now, all there again in ``t`` seconds. Of a limit ``q`` is what is earned in
``w``, and ``r`` counts down from its burst.

Trailing metadata costs a call a tenth of what it costs at all. So a unary answer has it where
somebody may want to slow down: where limits hold, or less than a fifth of the day's quota is
left; and where the caller asks for it, by the request metadata `WANTED`. A stream has it once,
at its end, and a refusal by quota or rate always, of what it is refused by.
"""

from collections.abc import Iterable
from contextvars import ContextVar
from typing import Final

from gateway.meter.model import SECONDS_A_DAY, Left
from gateway.meter.rates import MICROS, RateLeft
from operators.limits import Limit

LEFT: Final = "ratelimit"
POLICY: Final = "ratelimit-policy"
WANTED: Final = ("want-ratelimit", "?1")
"""Request metadata that asks for both behind any answer: a Boolean of RFC 9651, named as
Want-Content-Digest of RFC 9530 is."""
DAILY: Final = "daily-records"
"""Name of the daily quota of records beside the ids of limits."""

Told = tuple[tuple[str, str], ...]

_PLENTY: Final = 5

_told: ContextVar[Told] = ContextVar("left", default=())
_wanted: ContextVar[bool] = ContextVar("left-wanted", default=False)


def want_left() -> None:
    """Have what is left told behind whatever the call that this task answers is answered."""
    _wanted.set(True)


def tell_left(left: Left, limits: Iterable[Limit]) -> None:
    """Keep what is left, where it matters, for the end of the call that this task answers."""
    if not left.rates and left.quota * _PLENTY >= left.of and not _wanted.get():
        return
    policy = [f'"{DAILY}";q={left.of};w={SECONDS_A_DAY}']
    units = [f'"{DAILY}";r={left.quota};t={left.seconds}']
    if left.rates:
        _add_rates(policy, units, left.rates, limits)
    _keep(policy, units)


def tell_quota_refused(left: Left) -> None:
    """Keep what is left of the day's quota, of which nothing is for another answer."""
    want_left()
    tell_left(left._replace(rates=()), ())


def tell_rate_refused(left: RateLeft, limits: Iterable[Limit]) -> None:
    """Keep what is left of the limit that refuses the answer."""
    policy: list[str] = []
    units: list[str] = []
    _add_rates(policy, units, (left,), limits)
    _keep(policy, units)


def _add_rates(
    policy: list[str], units: list[str], rates: Iterable[RateLeft], limits: Iterable[Limit]
) -> None:
    known = {limit.limit_id: limit for limit in limits}
    for limit_id, cells, micros in rates:
        limit = known[limit_id]
        policy.append(f'"{limit_id}";q={limit.count};w={limit.period_seconds}')
        units.append(f'"{limit_id}";r={cells};t={-(-micros // MICROS)}')


def _keep(policy: list[str], units: list[str]) -> None:
    _told.set(((POLICY, ", ".join(policy)), (LEFT, ", ".join(units))))


def told_left() -> Told:
    """Return the trailing metadata that tell it, none where there is nothing to tell."""
    return _told.get()
