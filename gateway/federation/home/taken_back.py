"""Consents of other regions that their subjects have taken back here, told to who keeps them (G9).

Its operator is told by the region that keeps a consent, and by no other: so that is told, until it
has taken it, of each that was taken back on this gateway's pages.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy import Engine

from consent.model import Actor, ConsentChange
from consent.queries import ConsentQueries
from consent.states import REVOKED
from creditgate.federated_query import region_client_id
from gateway.consents.elsewhere import keeper_of
from gateway.consents.followed import come_further, come_to
from gateway.federation.trust.book import Region, RegionBook
from gateway.storage.bounded import bounded
from gateway.storage.engines import reading

_CHANGES_AT_ONCE: Final = 500
_FOLLOWED: Final = "taken-back:"


class TakenBack(NamedTuple):
    """A consent, by its name in the region that keeps it, that its subject took back here at ``at``
    (seconds, UTC)."""

    consent: str
    at: int


class PastTakenBack:
    """What was taken back here, by the region that keeps it; as
    `gateway.federation.asking.removal_telling.Past`. Calls block."""

    def __init__(self, engine: Engine, book: RegionBook) -> None:
        self._engine = engine
        self._consents = ConsentQueries(engine)
        self._book = book
        self._come_to: dict[str, int] = {}

    def gone(self, now: int) -> Mapping[str, list[TakenBack]]:
        """Return by region what it is to be told, in order."""
        del now  # at once
        found: dict[str, list[TakenBack]] = {}
        for region in self._book.regions():
            if region.operator_id and (some := self._of_region(region)):
                found[region.entity_id] = some
        return found

    def told(
        self, region: str, taken: Sequence[TakenBack], not_taken: Sequence[TakenBack], now: int
    ) -> None:
        """Keep that a region was told: of what it does not know it says the same."""
        del taken, not_taken, now
        self._keep(region, self._come_to[region])

    def _of_region(self, region: Region) -> list[TakenBack]:
        with reading(self._engine) as connection:
            after = come_to(connection, _FOLLOWED + region.client_id)
        while changes := self._consents.changes(
            after=after, operator_id=region.operator_id, limit=_CHANGES_AT_ONCE
        ):
            after = changes[-1].sequence
            if some := self._taken_back(changes, region):
                self._come_to[region.entity_id] = after
                return some
            self._keep(region.entity_id, after)
        return []

    def _taken_back(self, changes: Sequence[ConsentChange], region: Region) -> list[TakenBack]:
        back = [each for each in changes if each.state == REVOKED and each.actor == Actor.SUBJECT]
        consents = self._consents.readable({each.consent_id for each in back}) if back else {}
        found: list[TakenBack] = []
        for each in back:
            consent = consents.get(each.consent_id)
            keeper = None if consent is None else keeper_of(consent)
            if keeper is not None and keeper.region == region.entity_id:
                found.append(TakenBack(keeper.consent, each.at))
        return found

    def _keep(self, region: str, sequence: int) -> None:
        with bounded(self._engine) as connection:
            come_further(connection, _FOLLOWED + region_client_id(region), sequence)
