"""Which licences the records of a passage may rest on, where there are several. Pure.

Each record served counts against the quota of one licence, and one that allows it. Which one
is told where answers are charged, by what each has left; here is what may be chosen from, and in
which order: the licence that opens least comes first, so that the quota of one that opens more is
left for what no other opens; of those alike the one with the larger quota, then the first by number.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from gateway.disclose.model import Line
from operators.decision import Allow
from operators.shapes import covers


@dataclass(frozen=True, slots=True, eq=False)
class Resting:
    """What several licences bear of a passage.

    ``quotas`` gives, in the order they are charged in, the most records a UTC day under each
    licence by its number; ``of_line`` for each line that may be served the licences that allow
    it, in that order.
    ``needed`` has for each item sets of licences: while all of one set are used up, some
    records of the item could not be served, if there are any.
    """

    quotas: Mapping[str, int]
    of_line: Mapping[int, tuple[str, ...]]
    needed: Mapping[str, frozenset[frozenset[str]]]


def resting(
    allows: Collection[Allow],
    lines: Mapping[int, Line],
    served: Iterable[int],
    items: Collection[str],
) -> Resting | None:
    """Return what the licences of ``allows``, all of one operator, bear of the lines and items
    that may be served; None where there is one licence."""
    held = {each.number: each for allow in allows for each in allow.licences}
    if len(held) == 1:
        return None
    places: defaultdict[str, defaultdict[str, frozenset[str]]]
    places = defaultdict(lambda: defaultdict(frozenset))
    for allow in allows:
        for licence in allow.licences:
            for item, regions in licence.regions_by_item.items():
                places[item][licence.number] |= regions
    numbers = [
        each.number
        for each in sorted(
            held.values(), key=lambda each: (each.breadth, -each.daily_record_quota, each.number)
        )
    ]
    return Resting(
        quotas={number: held[number].daily_record_quota for number in numbers},
        of_line={
            no: tuple(
                number
                for number in numbers
                if covers(places[lines[no].item].get(number, ()), lines[no].region)
            )
            for no in served
        },
        needed={item: _needed(of_licence) for item, of_licence in places.items() if item in items},
    )


def _needed(regions_of: Mapping[str, frozenset[str]]) -> frozenset[frozenset[str]]:
    # Whoever has a code may serve all below it, so the codes named are all there is to look at.
    return frozenset(
        frozenset(number for number, regions in regions_of.items() if covers(regions, code))
        for codes in regions_of.values()
        for code in codes
    )
