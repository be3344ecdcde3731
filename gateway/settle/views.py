"""What the services of settlement need of a view of authority, and of the feed of views."""

from typing import Protocol

from gateway.settle.classes import ClassBook
from gateway.settle.prices import PriceBook
from gateway.settle.shares import SharingBook
from operators.authority import Authority


class SettlementView(Protocol):
    """What these services need of a view of authority."""

    @property
    def sequence(self) -> int:
        """The newest change it knows."""
        ...

    @property
    def authority(self) -> Authority:
        """Operators."""
        ...

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


class SettlementFeed(Protocol):
    """What these services need of the authority feed."""

    def current(self) -> SettlementView:
        """Return the view; raises Refused AUTHORITY_UNKNOWN when it is too old."""
        ...

    async def refresh(self) -> SettlementView:
        """Read the log's news now and return the view."""
        ...
