"""What decided about prices and shares, as authority was at some change of its log."""

from dataclasses import dataclass
from typing import Protocol

from creditgate.rating.prices import PriceBook
from gateway.settle.classes import ClassBook
from gateway.settle.shares import SharingBook
from gateway.settle.views import RatingView
from operators.log import AuthorityLog


class Books(RatingView, Protocol):
    """The books a month is rated and shared by. An authority view has them."""

    @property
    def sequence(self) -> int:
        """The newest change of authority they know."""
        ...


@dataclass(frozen=True, slots=True)
class PastBooks:
    """Books as they were at ``sequence``."""

    sequence: int
    prices: PriceBook
    sharing: SharingBook
    classes: ClassBook


def books_at(log: AuthorityLog, sequence: int) -> PastBooks:
    """Return the books as the log made them up to ``sequence``. Blocks.

    Raises pydantic.ValidationError for what this version does not understand.
    """
    changes = [change for change in log.since(0) if change.sequence <= sequence]
    return PastBooks(
        sequence,
        PriceBook.empty().advanced(changes),
        SharingBook.empty().advanced(changes),
        ClassBook.empty().advanced(changes),
    )
