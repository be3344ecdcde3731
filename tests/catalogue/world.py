"""The catalogue service over a real authority log and feed."""

from dataclasses import dataclass, field

from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.administration.catalogue_items import CatalogueItems
from gateway.authenticate.caller import Caller
from gateway.authority.feed import AuthorityFeed
from gateway.catalogue.service import CatalogueService
from operators.log import AuthorityLog
from tests.catalogue.drafts import NOW
from tests.clock import StandingClock

OFFICE = Caller("office", ClientRole.CLIENT_ROLE_ADMINISTRATOR, "", frozenset(), NOW + 300)


@dataclass
class World:
    """One process's catalogue service."""

    log: AuthorityLog
    feed: AuthorityFeed
    clock: StandingClock = field(default_factory=StandingClock)

    def __post_init__(self) -> None:
        self.service = CatalogueService(self.feed)
        self.items = CatalogueItems(self.log, self.feed, self.clock)
