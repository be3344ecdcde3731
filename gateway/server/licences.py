"""Licence credentials, composed: those of this region's operators, and what other regions say
of theirs."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from starlette.routing import Route

from gateway.authority.view import AuthorityView
from gateway.federation.credentials.credential import STATUS_PATH
from gateway.federation.credentials.following import StatusLists
from gateway.federation.credentials.issuing import LicenceCredentials
from gateway.federation.credentials.service import LicenceCredentialService
from gateway.federation.credentials.status_list import STATUS_LIST_MEDIA_TYPE
from gateway.federation.credentials.verifying import ShownLicences
from gateway.federation.trust.waiting import Waiting
from gateway.server.grounds import Grounds
from gateway.server.trust import Trust
from gateway.storage.background import Pace, Rounds

_PACE: Final = Pace(0.5)


@dataclass(frozen=True, slots=True)
class LicenceShowing:
    """What the other parts of a process need of licence credentials.

    ``own`` gives those of this region's operators, ``others`` reads those of other regions'.
    ``service`` serves LicenceCredentialService; ``routes`` are of the HTTP application; ``end``
    ends questions that wait.
    """

    own: LicenceCredentials
    others: ShownLicences
    service: LicenceCredentialService
    routes: Sequence[Route]
    end: Callable[[], None]


@asynccontextmanager
async def licence_showing(grounds: Grounds, trust: Trust) -> AsyncGenerator[LicenceShowing]:
    """Give what licence credentials take while the context lasts."""
    region, clock = trust.own.entity_id, grounds.clock

    def view() -> AuthorityView:
        return grounds.feed.current()

    own = LicenceCredentials(region, trust.own.assertion_key.kid, view, grounds.keys, clock)
    waiting = Waiting(own.number, own.status_list, STATUS_LIST_MEDIA_TYPE)
    lists = StatusLists(trust.regions, grounds.config.federation_lease_seconds, clock)
    rounds = Rounds("licence-status", lists.step, _PACE)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(lists.stop)
        rounds.start()
        stack.push_async_callback(rounds.stop)
        yield LicenceShowing(
            own,
            ShownLicences(lists, clock),
            LicenceCredentialService(own, view, clock),
            [Route(urlsplit(region).path.rstrip("/") + STATUS_PATH, waiting.answer)],
            waiting.end,
        )
