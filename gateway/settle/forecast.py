"""Forecast: what a month comes to if it goes on like the last seven days. Pure.

No more is assumed than can be said in a sentence: what was used in the last seven days is used
again at the same time of each week that is left of the month, about the same subjects, at the prices
and by the plans that are in force then. It is rated together with what was used so far, so that
tiers, free tiers, minimum, cap and prices by subject act on the whole. Of sources, sharing and
adjustments of earlier months it says nothing.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from creditgate.rating.components import Priced
from creditgate.rating.prices import PriceBook
from creditgate.rating.rating import rate
from creditgate.rating.use import RatedUse, UsePart
from gateway.settle.classes import ClassBook

RECENT_SECONDS: Final = 7 * 86_400
"""How far back one looks to tell how a month goes on, in seconds: a week, after which it all comes
again."""


class Forecast(NamedTuple):
    """Records and fees (micro-yuan) of a month: ``so_far`` it is rated as it stands, ``whole``
    with what is expected of the rest."""

    records_so_far: int
    records_whole: int
    fee_so_far: int
    fee_whole: int


class Counted(NamedTuple):
    """A part of the month's use, or one that is expected, and the number among the parts read of that
    which it is, or is again: both are about the same subjects."""

    part: UsePart
    number: int


def forecast_cuts(starts: Sequence[int], until: int, now: int) -> tuple[int, ...]:
    """Return where the use that a forecast reads has to be cut; the first is where it begins.

    ``starts`` and ``until`` are the month's cuts (`creditgate.rating.terms.cuts`) and its end,
    ``now`` is when it is made (seconds, UTC). What comes again within one of these cuts comes in
    one cut of the month.
    """
    begin = now - RECENT_SECONDS
    again = {begin + (at - now) % RECENT_SECONDS for at in (*starts, until) if at > now}
    return tuple(sorted({*starts, begin, now, *again}))


def forecast(
    use: RatedUse,
    starts: Sequence[int],
    now: int,
    prices: PriceBook,
    classes: ClassBook,
) -> Forecast:
    """Return what the month comes to that is cut at ``starts`` and ends where ``use`` does.

    ``use`` is the operator's, cut at `forecast_cuts`; ``now`` in seconds, UTC. What has no price when
    it comes again is not expected: it would not be served.
    """
    so_far = tuple(_of_month(use, starts))
    whole = (*so_far, *_expected(use, starts, now, prices, classes))
    return Forecast(
        sum(each.part.records for each in so_far),
        sum(each.part.records for each in whole),
        rate(_Month(use, starts[0], so_far), prices, classes).total,
        rate(_Month(use, starts[0], whole), prices, classes).total,
    )


def _of_month(use: RatedUse, starts: Sequence[int]) -> Iterator[Counted]:
    """Yield what was used in the month, by the month's own cuts."""
    for number, part in enumerate(use.parts):
        if part.part_from >= starts[0]:
            cut = starts[bisect_right(starts, part.part_from) - 1]
            yield Counted(part._replace(part_from=cut), number)


def _expected(
    use: RatedUse,
    starts: Sequence[int],
    now: int,
    prices: PriceBook,
    classes: ClassBook,
) -> Iterator[Counted]:
    recent = [
        Counted(part, number)
        for number, part in enumerate(use.parts)
        if now - RECENT_SECONDS <= part.part_from < now
    ]
    for start, end in pairwise((*starts, use.until)):
        plan = prices.plan_at(start)
        standing = classes.standing(use.operator_id, start)
        if end <= now or plan is None or not standing.stands:
            continue
        for part, number in recent:
            times = _times(part.part_from, max(start, now), end)
            price_class = classes.price_class(part.item, start)
            price = plan.list_price(
                Priced(part.item, price_class, part.purpose, standing.operator_class)
            )
            if times and price is not None:
                expected = part._replace(
                    part_from=start,
                    price_class=price_class,
                    unit_price=price,
                    records=part.records * times,
                    answers=part.answers * times,
                )
                yield Counted(expected, number)


def _times(at: int, from_: int, until: int) -> int:
    """Return how often an instant before ``from_`` comes again, week by week, in [from_, until)."""
    return (at - from_) // RECENT_SECONDS - (at - until) // RECENT_SECONDS


@dataclass(frozen=True, slots=True)
class _Month:
    """Use of the month that begins at ``from_``: what there was of it, and what is expected."""

    use: RatedUse
    from_: int
    counted: Sequence[Counted]

    @property
    def operator_id(self) -> str:
        return self.use.operator_id

    @property
    def until(self) -> int:
        return self.use.until

    @property
    def parts(self) -> Sequence[UsePart]:
        return [each.part for each in self.counted]

    def subjects(self, parts: Collection[int]) -> int:
        """Return how many subjects parts are about: those that come again are no others."""
        return self.use.subjects({self.counted[index].number for index in parts})
