"""A month of use as the leaves of the usage log tell it, to be rated. Pure.

The leaves were verified before. They do not tell whom an answer was about: how many subjects a
component counts is told with the statement, and never more than there are records.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from creditgate.rating.basis import RatedBy
from creditgate.rating.components import PER_SUBJECT, Priced
from creditgate.rating.terms import terms
from creditgate.rating.use import UsePart
from creditgate.transparency.merkle import ProofInvalid
from creditgate.v1.usage_log_pb2 import UsageKind, UsageLeaf, UsageLine


class LoggedUse(NamedTuple):
    """What a leaf counts: ``sign`` is -1 where it credits.

    ``at`` (seconds, UTC) and ``purpose`` are those of the answer, also of a credit; ``place`` is
    the leaf's own.
    """

    place: int
    at: int
    purpose: int
    sign: int
    lines: tuple[UsageLine, ...]


def logged_uses(leaves: Iterable[tuple[UsageLeaf, Iterable[UsageLine]]]) -> list[LoggedUse]:
    """Return what leaves and their lines count; they are those of a log from its first on.

    Raises ProofInvalid where a credit is of no answer before it.
    """
    found: list[LoggedUse] = []
    for place, (leaf, lines) in enumerate(leaves):
        if leaf.usage_index != place:
            raise ProofInvalid("a leaf is not at the place it names")
        if leaf.kind == UsageKind.USAGE_KIND_ANSWER:
            use = LoggedUse(place, leaf.serve_seconds, leaf.purpose, 1, tuple(lines))
        elif 0 <= leaf.reversed_index < place and found[leaf.reversed_index].sign > 0:
            answer = found[leaf.reversed_index]
            use = LoggedUse(place, answer.at, answer.purpose, -1, tuple(lines))
        else:
            raise ProofInvalid("a credit is of no answer before it")
        found.append(use)
    return found


class LoggedMonth:
    """`creditgate.rating.use.RatedUse` of the leaves of an operator before ``size``.

    ``subjects`` are counts by component and start of the term, as told; None for as many as there
    can be. Raises ProofInvalid where credits are of more than was served.
    """

    def __init__(
        self,
        uses: Iterable[LoggedUse],
        size: int,
        operator_id: str,
        bounds: tuple[int, int],
        books: RatedBy,
        subjects: Mapping[tuple[str, int], int] | None,
    ) -> None:
        self.operator_id = operator_id
        self.from_, self.until = bounds
        starts = books.cuts(operator_id, *bounds)
        records: Counter[tuple[int, str, str, str, int, int]] = Counter()
        for use in uses:
            if use.place >= size or not self.from_ <= use.at < self.until:
                continue
            start = starts[bisect_right(starts, use.at) - 1]
            for line in use.lines:
                named = line.item, line.source, line.region
                key = (start, *named, use.purpose, line.unit_price_micro_yuan)
                records[key] += use.sign * line.entries
        if any(count < 0 for count in records.values()):
            raise ProofInvalid("more is credited than was served")
        self.parts: Sequence[UsePart] = tuple(
            UsePart(
                start,
                item,
                source,
                region,
                books.classes.price_class(item, start),
                purpose,
                price,
                records[start, item, source, region, purpose, price],
                0,
            )
            for start, item, source, region, purpose, price in sorted(records)
            if records[start, item, source, region, purpose, price]
        )
        self._counted_by = _subject_components(self, books)
        bounds_of: Counter[tuple[str, int]] = Counter()
        for part, key in zip(self.parts, self._counted_by, strict=True):
            if key is not None:
                bounds_of[key] += part.records
        told = bounds_of if subjects is None else subjects
        self.subjects_of = {key: min(told.get(key, 0), bounds_of[key]) for key in bounds_of}
        """Subjects by component and start of its term, as many as there can be at most."""

    def subjects(self, parts: Collection[int]) -> int:
        """Return how many subjects parts are about; see the protocol."""
        counted = {self._counted_by[index] for index in parts}
        return sum(self.subjects_of[key] for key in counted if key is not None)


def _subject_components(use: LoggedMonth, books: RatedBy) -> list[tuple[str, int] | None]:
    """Return which component counts the subjects of each part, if one does, and its term."""
    found: list[tuple[str, int] | None] = []
    whole = list(terms(use.operator_id, use.from_, use.until, books.prices, books.classes))
    for part in use.parts:
        term = next(each for each in whole if each.from_ <= part.part_from < each.until)
        priced = Priced(part.item, part.price_class, part.purpose, term.operator_class)
        component = term.plan.charging(priced) if term.plan else None
        counts = component is not None and component.kind == PER_SUBJECT
        found.append((component.component_id, term.from_) if component and counts else None)
    return found
