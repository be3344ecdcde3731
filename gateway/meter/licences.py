"""Which licence each record of an answer counts against, where several may bear it. Pure.

A record counts against one licence, and one that opens it: the first, in the order given, that
has quota left. Where that would leave too little for another record of the answer, records move
to a later licence that opens them. An answer is never cut: what is served is all that the licences
open together. Where no way to share it keeps every quota, what is over goes beyond those of which
something was left.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import repeat
from typing import Final, NamedTuple

_MOST_KNOWN: Final = 1_024


class Licences(NamedTuple):
    """What an answer may rest on: several licences of its operator.

    ``quotas`` gives by number, in the order they are charged in, the most records a UTC day;
    ``of_line`` the licences, in that order, that open each revenue line; ``needed`` sets of
    licences, of each of which one must have quota left, or records that may be there could not be
    served.
    """

    quotas: Mapping[str, int]
    of_line: Mapping[int, Sequence[str]]
    needed: frozenset[frozenset[str]]


class LicenceShare(NamedTuple):
    """How many records of each line of an answer, in order of its lines, count against a
    licence; none where no record does."""

    licence: str
    records: tuple[int, ...]


Shares = tuple[LicenceShare, ...]


def used_up(licences: Licences, left: Mapping[str, int]) -> tuple[str, ...]:
    """Return in order the licences of a set needed that have all no quota ``left``: the first
    such set by its numbers, an empty one where there is none."""
    spent = [
        tuple(sorted(each)) for each in licences.needed if all(left[number] <= 0 for number in each)
    ]
    return min(spent, default=())


def shared(
    counts: Sequence[tuple[int, int]], licences: Licences, left: Mapping[str, int]
) -> Shares | None:
    """Return how ``counts``, pairs of line and records, are shared among licences that have so
    many records ``left``; None where of all that open a line nothing is left.

    First those that bear records, in order, then the others.
    """
    room = {number: max(0, records) for number, records in left.items()}
    taken: Counter[tuple[int, str]] = Counter()
    for line, records in counts:
        unplaced = records
        for number in licences.of_line[line]:
            some = min(unplaced, room[number])
            if some:
                taken[line, number] += some
                room[number] -= some
                unplaced -= some
        while unplaced:
            some = _moved(line, unplaced, licences.of_line, room, taken, set())
            if not some:
                beyond = next((each for each in licences.of_line[line] if left[each] > 0), None)
                if beyond is None:
                    return None
                taken[line, beyond] += unplaced
                break
            unplaced -= some
    shares = [
        LicenceShare(number, tuple(taken[line, number] for line, _ in counts))
        for number in licences.quotas
    ]
    bear = [share for share in shares if any(share.records)]
    return (*bear, *(LicenceShare(each.licence, ()) for each in shares if not any(each.records)))


def _moved(
    line: int,
    most: int,
    of_line: Mapping[int, Sequence[str]],
    room: dict[str, int],
    taken: Counter[tuple[int, str]],
    seen: set[str],
) -> int:
    """Place ``most`` further records of a line or fewer, moving others, and return how many: none
    where there is no way.

    An augmenting path (Ford and Fulkerson 1956); ``seen`` are the licences it has come through.
    """
    for number in of_line[line]:
        if number in seen:
            continue
        seen.add(number)
        if some := min(most, room[number]):
            room[number] -= some
            taken[line, number] += some
            return some
        for other in [each for each, bearer in taken if bearer == number]:
            bound = min(most, taken[other, number])
            if bound and (some := _moved(other, bound, of_line, room, taken, seen)):
                taken[other, number] -= some
                taken[line, number] += some
                return some
    return 0


def borne_by(
    lines: Sequence[int], shares: Iterable[LicenceShare], entry_lines: Iterable[int]
) -> list[str]:
    """Return the licence of each entry of an answer, in order of serving.

    ``lines`` are the answer's, and ``entry_lines`` the line of each entry: of one line, so many
    rest on the first of ``shares`` as that has, the next on the one behind it.
    """
    bearers = {
        line: iter(
            [
                each
                for share in shares
                if share.records
                for each in repeat(share.licence, share.records[at])
            ]
        )
        for at, line in enumerate(lines)
    }
    return [next(bearers[line]) for line in entry_lines]


def credited(
    lines: Sequence[int], shares: Sequence[LicenceShare], counts: Mapping[int, int]
) -> Shares:
    """Return what is given back to each licence of an answer where ``counts`` of its ``lines``
    are credited, in order of ``counts``: of one line to the last that bears it first."""
    place = {line: at for at, line in enumerate(lines)}
    left = dict(counts)
    given_back: list[LicenceShare] = []
    for share in reversed([each for each in shares if each.records]):
        some = [min(left[line], share.records[place[line]]) for line in counts]
        for line, records in zip(counts, some, strict=True):
            left[line] -= records
        if any(some):
            given_back.append(LicenceShare(share.licence, tuple(some)))
    return tuple(reversed(given_back))


def shares_text(shares: Shares) -> str:
    """Return shares as stored in the ledger: a JSON array of [licence, [records of each line]],
    "" for none."""
    return json.dumps(shares, separators=(",", ":")) if shares else ""


@lru_cache(_MOST_KNOWN)
def shares_of(text: str | None) -> Shares:
    """Return the shares of a ledger row; none where it rests on one licence, or is older."""
    return tuple(
        LicenceShare(licence, tuple(records)) for licence, records in json.loads(text or "[]")
    )
