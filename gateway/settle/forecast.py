"""Forecast: what a month comes to if it goes on like the last seven days. Pure.

No more is assumed than can be said in a sentence: what was used in the last seven days is
used again, in proportion, in the time that is left of the month, at the prices and by the
plans that are in force then. It is rated together with what was used so far, so that tiers,
free tiers, minimum and cap act on the whole. Of sources, sharing and adjustments of earlier
months it says nothing.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from creditgate.rating.components import Priced
from creditgate.rating.division import divide
from creditgate.rating.prices import PriceBook
from creditgate.rating.rating import rate
from creditgate.rating.use import UsePart
from gateway.settle.classes import ClassBook
from gateway.settle.use import Combination, MonthUse

RECENT_SECONDS: Final = 7 * 86_400
"""How far back one looks to tell how a month goes on, in seconds."""


class Forecast(NamedTuple):
    """Records and fees (micro-yuan) of a month: ``so_far`` it is rated as it stands, ``whole``
    with what is expected of the rest."""

    records_so_far: int
    records_whole: int
    fee_so_far: int
    fee_whole: int


class Expected(NamedTuple):
    """Use expected within one cut: ``part``, which is the recent use's part of ``number`` taken
    for ``seconds``."""

    part: UsePart
    number: int
    seconds: int


def forecast(
    use: MonthUse,
    recent: MonthUse,
    starts: Sequence[int],
    now: int,
    prices: PriceBook,
    classes: ClassBook,
) -> Forecast:
    """Return what the month of ``use`` comes to.

    ``recent`` is the operator's use in the `RECENT_SECONDS` before ``now`` (seconds, UTC),
    ``starts`` are the month's cuts (`creditgate.rating.terms.cuts`), those to come too. What has
    no price then is not expected: it would not be served.
    """
    extended = _Extended(use, recent, tuple(_expected(use, recent, starts, now, prices, classes)))
    return Forecast(
        sum(part.records for part in use.parts),
        sum(part.records for part in extended.parts),
        rate(use, prices, classes).total,
        rate(extended, prices, classes).total,
    )


def _expected(
    use: MonthUse,
    recent: MonthUse,
    starts: Sequence[int],
    now: int,
    prices: PriceBook,
    classes: ClassBook,
) -> Iterator[Expected]:
    for start, end in pairwise((*starts, use.until)):
        seconds = end - max(start, now)
        plan = prices.plan_at(start)
        standing = classes.standing(use.operator_id, start)
        if seconds <= 0 or plan is None or not standing.stands:
            continue
        again: list[Expected] = []
        for number, part in enumerate(recent.parts):
            price_class = classes.price_class(part.item, start)
            price = plan.list_price(
                Priced(part.item, price_class, part.purpose, standing.operator_class)
            )
            if price is not None:
                expected = part._replace(
                    part_from=start,
                    price_class=price_class,
                    unit_price=price,
                    answers=part.answers * seconds // RECENT_SECONDS,
                )
                again.append(Expected(expected, number, seconds))
        counts = [each.part.records for each in again]
        whole = sum(counts) * seconds // RECENT_SECONDS
        # Of the sum, not part by part: what is little of many kinds is not nothing together.
        for each, records in zip(again, divide(whole, counts) if whole else (), strict=False):
            if records:
                yield each._replace(part=each.part._replace(records=records))


@dataclass(frozen=True, slots=True)
class _Extended:
    """A month's use, and what is expected of the rest of it."""

    use: MonthUse
    recent: MonthUse
    expected: tuple[Expected, ...]

    @property
    def operator_id(self) -> str:
        return self.use.operator_id

    @property
    def from_(self) -> int:
        return self.use.from_

    @property
    def until(self) -> int:
        return self.use.until

    @property
    def parts(self) -> Sequence[UsePart]:
        return (*self.use.parts, *(each.part for each in self.expected))

    def subjects(self, parts: Collection[int]) -> int:
        """Return how many subjects parts are about: those to come are taken for new ones."""
        known = len(self.use.parts)
        found = self.use.subjects([index for index in parts if index < known])
        # By cut: those to come in one are not those to come in another.
        by_cut: dict[int, list[Expected]] = {}
        for index in parts:
            if index >= known:
                each = self.expected[index - known]
                by_cut.setdefault(each.part.part_from, []).append(each)
        for group in by_cut.values():
            seconds = group[0].seconds
            recent = self.recent.subjects({each.number for each in group})
            # None is asked for without a record.
            most = sum(each.part.records for each in group)
            found += min(recent * seconds // RECENT_SECONDS, most)
        return found

    def combinations(self) -> Sequence[Combination]:
        return self.use.combinations()
