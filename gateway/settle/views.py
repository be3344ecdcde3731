"""What the services of settlement need of a view of authority, and of the feed of views."""

from typing import Protocol

from creditgate.rating.prices import PriceBook
from gateway.settle.classes import ClassBook
from gateway.settle.shares import SharingBook
from operators.authority import Authority
from operators.log import AuthorityLog


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


class DatedLog(AuthorityLog, Protocol):
    """An authority log that tells how late its changes were made. Calls block."""

    def newest_changed_at(self) -> int:
        """Return the latest instant of any change (seconds, UTC), 0 before the first."""
        ...


class ClosedMonths(Protocol):
    """Tells which months were closed. Calls block."""

    def newest_month(self) -> str:
        """Return the newest month that any operator's statement was closed for, "" for none."""
        ...
