"""The side of the region that proposes, as it is compared: its steps are taken by threads."""

from creditgate.reconcile.symbols import CodedSet, coded
from gateway.federation.clearing.claims import Claims
from gateway.federation.clearing.own_side import OwnSide
from gateway.federation.clearing.paging import Claimed
from gateway.storage.steps import Steps


class SideComparing:
    """This side of one comparison, between ``regions``; see `calling.Comparing`."""

    def __init__(self, regions: frozenset[str], side: OwnSide, steps: Steps) -> None:
        self.regions = regions
        self._side = side
        self._steps = steps
        self.elements = side.elements
        self.most_elements = side.most_elements

    async def coded(self, key: bytes) -> CodedSet:
        """Return the coded set of its elements."""
        return await self._steps.take(coded, self.elements, key)

    async def claims(self, elements: list[bytes]) -> Claims:
        """Return what it claims of the answers that elements are of. Raises LedgerMoved."""

        def claimed() -> Claims:
            return self._side.claims(self._side.ids(elements))

        return await self._steps.take(claimed)

    def claimed(self, until: int) -> Claimed:
        """Return what collects the other's claims."""
        return Claimed(self.regions, until, self._side.most_claimed)
