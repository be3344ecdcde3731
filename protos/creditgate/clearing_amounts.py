"""What a month between two regions comes to beyond list prices (清算差额). Pure.

Clearing is of entries by list price. What the home region's statement says of the same use, by
subject, tier, free records, flat fee, minimum or cap, is signed beside them, a line for a month and a
home region: so what is cleared of a month is what the statement says. Both regions work it out, by
the plan that the home region told. Amounts are micro-yuan, instants seconds, UTC.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Annotated, Final, NamedTuple, Protocol, Self

from pydantic import Field, Strict, model_validator

from creditgate.rating.bill import Bill
from creditgate.rating.classes import Classes
from creditgate.rating.components import PER_RECORD, PER_SUBJECT
from creditgate.rating.months import month_bounds
from creditgate.rating.prices import PriceBook
from creditgate.rating.rating import rate
from creditgate.rating.terms import terms
from creditgate.rating.use import UsePart
from creditgate.signed_document import DocumentPart, ShortText
from creditgate.v1.usage_service_pb2 import RatingBasis

MOST_LINES: Final = 64
"""Most lines of a clearing: of 32 months in both directions."""
NOT_TOLD: Final = ""
"""The subject of a use where a region does not know whom it is about."""

_Count = Annotated[int, Strict(), Field(ge=0, le=2**63 - 1)]
_Difference = Annotated[int, Strict(), Field(ge=-(2**63), le=2**63 - 1)]


class AmountLine(DocumentPart):
    """What the use of a month comes to, of what both regions agreed on so far."""

    home: ShortText = Field(description="The region whose records were used.")
    month: Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
    entries: _Count = Field(description="Entries of the month agreed, earlier clearings included.")
    listed: _Count = Field(description="What they cost by list price, micro-yuan.")
    rated: _Count = Field(description="What the home region's statement says of them, micro-yuan.")
    before: _Difference = Field(
        default=0, description="What earlier clearings have of the difference, micro-yuan."
    )
    amount: _Difference = Field(
        description="What is due to the home region beside the entries: rated less listed less"
        " before, micro-yuan; below zero where it has too much by list price."
    )
    basis: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] = Field(
        description="SHA-256 of what it was rated by: a serialised RatingBasis."
    )

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if self.amount != self.rated - self.listed - self.before:
            raise ValueError("the amount must be rated less listed less before")
        return self


class MonthUsed(NamedTuple):
    """One entry of a month, with what decides about its price; of source and district odd
    micro-yuan alone depend. Where a region knows it by the other's word alone ``subject`` is
    `NOT_TOLD`, ``purpose`` 0, and these are empty."""

    serve_seconds: int
    item: str
    source: str
    district: str
    purpose: int
    fee: int
    subject: str


class _PartKey(NamedTuple):
    start: int
    item: str
    source: str
    district: str
    purpose: int
    fee: int


class AmountBooks(Protocol):
    """What a month is rated by."""

    @property
    def prices(self) -> PriceBook:
        """Price plans."""
        ...

    @property
    def classes(self) -> Classes:
        """Classes of items and of the asking region."""
        ...

    def cuts(self, operator_id: str, from_: int, until: int) -> tuple[int, ...]:
        """Return where a month [from_, until) is cut by these books."""
        ...


class MonthOfEntries:
    """`creditgate.rating.use.RatedUse` of the entries of a month that two regions agreed on."""

    def __init__(
        self,
        operator_id: str,
        month: str,
        uses: Iterable[MonthUsed],
        books: AmountBooks,
    ) -> None:
        self.operator_id = operator_id
        self._books = books
        self._all_differ = False
        by_subject = goes_by_subject(books.prices)
        self.from_, self.until = month_bounds(month)
        starts = books.cuts(operator_id, self.from_, self.until)
        records: Counter[_PartKey] = Counter()
        self._about: defaultdict[_PartKey, set[str]] = defaultdict(set)
        self._untold: Counter[_PartKey] = Counter()
        for use in uses:
            start = starts[bisect_right(starts, use.serve_seconds) - 1]
            key = _PartKey(start, *use[1:6])
            records[key] += 1
            if use.subject == NOT_TOLD:
                self._untold[key] += 1
            elif by_subject:
                self._about[key].add(use.subject)
        self._keys = sorted(records)
        self.entries = records.total()
        self.unnamed = sum(count for key, count in records.items() if not key.source)
        """Entries known by the other region's word alone."""
        self.listed = sum(key.fee * count for key, count in records.items())
        self.parts: Sequence[UsePart] = tuple(
            UsePart(
                key.start,
                key.item,
                key.source,
                key.district,
                books.classes.price_class(key.item, key.start),
                key.purpose,
                key.fee,
                records[key],
                0,
            )
            for key in self._keys
        )

    def subjects(self, parts: Collection[int]) -> int:
        """Return how many subjects parts are about; see the protocol."""
        keys = [self._keys[index] for index in parts]
        about = set[str]().union(*(self._about[key] for key in keys))
        if not self._all_differ:
            return len(about)
        return len(about) + sum(self._untold[key] for key in keys)

    def rated(self, *, all_differ: bool = False) -> Bill:
        """Return what it costs. With ``all_differ`` uses whose subject is not told are of a
        subject each, else of none."""
        self._all_differ = all_differ
        return rate(self, self._books.prices, self._books.classes)


def goes_by_subject(prices: PriceBook) -> bool:
    """Tell whether some plan has a price by subject."""
    return any(part.kind == PER_SUBJECT for plan in prices.plans.things for part in plan.components)


def is_listed_alone(operator_id: str, month: str, books: AmountBooks) -> bool:
    """Tell whether a month comes to its list prices whatever is used: no plan that decides in it
    says more than what a record costs."""
    whole = terms(operator_id, *month_bounds(month), books.prices, books.classes)
    plans = (span.plan for term in whole for span in term.spans)
    return all(
        each.kind == PER_RECORD for plan in plans if plan is not None for each in plan.components
    )


def basis_digest(basis: RatingBasis) -> str:
    """Return what a line names the basis of its month by."""
    return sha256(basis.SerializeToString(deterministic=True)).hexdigest()


def due_by_lines(lines: Iterable[AmountLine]) -> Mapping[str, int]:
    """Return what lines come to by home region."""
    due: Counter[str] = Counter()
    for each in lines:
        due[each.home] += each.amount
    return due
