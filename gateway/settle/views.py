"""What the services of settlement need of a view of authority, and of the feed of views."""

from contextlib import AbstractContextManager
from typing import Protocol

from creditgate.rating.prices import PriceBook
from gateway.settle.classes import ClassBook
from gateway.settle.entry_into_force import Present
from gateway.settle.shares import SharingBook
from operators.authority import Authority


class RatingView(Protocol):
    """What use is rated and shared by, of a view of authority."""

    @property
    def prices(self) -> PriceBook:
        """Price plans."""
        ...

    @property
    def sharing(self) -> SharingBook:
        """Sharing rules."""
        ...

    @property
    def classes(self) -> ClassBook:
        """Classes of items and operators, in time."""
        ...


class SettlementView(RatingView, Protocol):
    """What these services need of a view of authority."""

    @property
    def sequence(self) -> int:
        """The newest change it knows."""
        ...

    @property
    def authority(self) -> Authority:
        """Operators."""
        ...


class SettlementFeed(Protocol):
    """What these services need of the authority feed."""

    def current(self) -> SettlementView:
        """Return the view; raises Refused AUTHORITY_UNKNOWN when it is too old."""
        ...

    async def refresh(self) -> SettlementView:
        """Read the log's news now and return the view."""
        ...


class RatedPast(Protocol):
    """Tells what was used and closed, and keeps it from growing while something is dated."""

    def held(self, operator_id: str = "") -> AbstractContextManager[Present]:
        """Give the present, which stays so while the context lasts: no use is metered and no month
        closed. Of the use of ``operator_id`` where one is named, of all else. Blocks."""
        ...
