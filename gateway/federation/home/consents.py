"""Consents that another region granted and keeps: relied on here while it says they stand.

The first call that shows a receipt writes the consent down, under the operator that the region
is here, so that the ledger judges and counts its use like that of any other (G3): a consent for one use opens one
answer here, whatever its region counts. How it stands is the other region's to say
(`gateway.federation.home.following`): what it has ended is ended here for good, and what is
not heard is refused.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from consent.changing import Act
from consent.model import NAME_PREFIX, Actor, Consent
from consent.rules import Gap, gap_of
from consent.sql import SqlConsents
from consent.states import EXHAUSTED, EXPIRED, GRANTED, REVOKED
from creditgate.consent_artefact import ConsentArtefact
from creditgate.federated_query import consent_elsewhere, region_client_id
from creditgate.refusal import Refused
from creditgate.v1.federation_service_pb2 import ConsentStanding
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authorise.opening import gap_refusal
from gateway.clock import Clock
from gateway.federation.home.following import ConsentFollower, unheard
from gateway.federation.home.receipts import (
    ForeignReceipts,
    made_out,
    require_covers,
    require_time,
    require_whole,
)
from gateway.federation.home.standings import Standing
from gateway.federation.trust.book import Region
from gateway.storage.background import Failures

_THREADS: Final = 2
# Used up there is one question asked, perhaps this one: here its use is counted anew.
_STANDING: Final = frozenset({GRANTED, EXHAUSTED})
_ENDED_FOR_GOOD: Final = frozenset({REVOKED, EXPIRED})
_DAY_SECONDS: Final = 86_400
MOST_A_DAY: Final = 100
"""Most consents about one subject that one region shows anew within 24 hours."""
MOST_LIVE: Final = 1_000
"""Most consents about one subject in force that one region shows."""
_RETRY_SECONDS: Final = 3_600
KEPT: Final = "kept in another region, and shown by its receipt"
ENDED: Final = "ended in the region that keeps it"


@dataclass(frozen=True, slots=True)
class ReliedOn:
    """A consent of another region that a call relies on.

    ``name`` is its resource name here, ``there`` the one in its region.
    """

    region: str
    name: str
    there: str
    follower: ConsentFollower

    def require(self) -> None:
        """Raise Refused unless it stands: FEDERATION_UNKNOWN, and the reasons of consents."""
        standing = self.follower.known(self.region, self.there)
        if standing is None:
            raise unheard()
        _require_standing(standing)

    def stands(self) -> bool:
        """Tell whether it stands; any thread."""
        standing = self.follower.known(self.region, self.there)
        return standing is not None and standing.state in _STANDING


class ForeignConsents:
    """Finds out what consents of other regions open here; one event loop's own.

    ``counterparts`` gives, for a region's entity identifier, this region's item for each of
    that one's that is mapped; ``declared`` the content fields of an item here; ``codes`` are
    the division codes this region is home of; ``is_public`` tells of an item here whether it is
    given whole to everybody.
    """

    def __init__(
        self,
        consents: SqlConsents,
        counterparts: Callable[[str], Mapping[str, str]],
        declared: Callable[[str], frozenset[str]],
        codes: Callable[[], frozenset[str]],
        clock: Clock,
        is_public: Callable[[str], bool],
    ) -> None:
        self._consents = consents
        self._receipts = ForeignReceipts()
        self._counterparts = counterparts
        self._declared = declared
        self._codes = codes
        self._clock = clock
        self._is_public = is_public
        self._failures = Failures("consents of other regions")
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="consents-elsewhere")

    def close(self) -> None:
        """Write what is under way, and no more."""
        self._threads.shutdown()

    async def relied_on(
        self,
        follower: ConsentFollower,
        receipt: str,
        region: Region,
        operator_id: str,
        items: Collection[str],
    ) -> ReliedOn:
        """Return the consent of ``receipt``, shown by ``region`` for its ``operator_id``, which asks
        for ``items`` here.

        Raises Refused with the reasons of consents where it does not stand or open anything
        here, FEDERATION_UNKNOWN where its region was not heard.
        """
        artefact = self._receipts.read(receipt, region)
        require_covers(artefact, operator_id, self._codes())
        require_time(artefact, self._clock.now())
        public = [each for each in items if self._is_public(each)]
        require_whole(artefact, public, self._counterparts(region.entity_id), self._declared)
        standing = await follower.follow(region.entity_id, artefact.consent)
        _require_standing(standing)
        loop = asyncio.get_running_loop()
        kept = await loop.run_in_executor(self._threads, self._kept, artefact, receipt, region)
        return ReliedOn(region.entity_id, kept.name, artefact.consent, follower)

    def told(self, region: str, standing: ConsentStanding) -> None:
        """Take in how a consent stands in its region: write down what has ended it there."""
        if standing.state in _ENDED_FOR_GOOD:
            self._threads.submit(self._end, region, standing)

    def _kept(self, artefact: ConsentArtefact, receipt: str, region: Region) -> Consent:
        """Return the consent as written here, now if it was not before.

        Raises Refused CONSENT_UNKNOWN for one that is not the region's, whatever its name.
        """
        consent_id = _id_here(region.entity_id, artefact.consent)
        kept = self._consents.get(consent_id)
        if kept is not None:
            return _of_region(kept, region.client_id)
        counterparts, now = self._counterparts(region.entity_id), self._clock.now()
        made = made_out(artefact, receipt, region, counterparts, self._declared)
        self._require_room(made, now)
        act = Act(Actor.GATEWAY, region.client_id, KEPT, now)
        try:
            return self._consents.add(made, act)
        except Refused:
            # Another process wrote it meanwhile, by another version of the mapping.
            kept = self._consents.get(consent_id)
            if kept is None:
                raise
            return _of_region(kept, region.client_id)

    def _require_room(self, made: Consent, now: int) -> None:
        """Raise Refused RATE_EXCEEDED where the region has written so much into the subject's list
        that the subject finds nothing else there."""
        shown = self._consents.shown_by(made.client_id, made.subject, now - _DAY_SECONDS)
        if shown.open >= MOST_LIVE or shown.since >= MOST_A_DAY:
            raise Refused(
                RefusalReason.REFUSAL_REASON_RATE_EXCEEDED,
                f"A region shows at most {MOST_A_DAY} new consents about one subject within a day,"
                f" and {MOST_LIVE} in force; wait.",
                retry_after=_RETRY_SECONDS,
            )

    def _end(self, region: str, standing: ConsentStanding) -> None:
        try:
            consent_id = _id_here(region, standing.consent)
            kept = self._consents.get(consent_id)
            if kept is None:
                # One that nothing was asked under.
                return
            _of_region(kept, region_client_id(region))
            act = Act(Actor.GATEWAY, "", ENDED, self._clock.now())
            self._consents.follow(consent_id, standing.state, act)
        except Exception as error:
            # It is refused by what was heard, and told again with the next stream.
            self._failures.tell("writing an end", error)


def _id_here(region: str, consent: str) -> str:
    """Return the id under which a consent of ``region`` (entity identifier) is kept here.

    Nothing that a region says of itself goes into it: no two regions name one consent.
    """
    return consent_elsewhere(region, consent).removeprefix(NAME_PREFIX)


def _of_region(kept: Consent, client_id: str) -> Consent:
    """Return a consent that the region of ``client_id`` showed here first.

    Raises Refused CONSENT_UNKNOWN for any other: only who keeps a consent says how it stands.
    """
    if kept.client_id != client_id:
        raise gap_refusal(Gap(RefusalReason.REFUSAL_REASON_CONSENT_UNKNOWN))
    return kept


def _require_standing(standing: Standing) -> None:
    if standing.state not in _STANDING:
        raise gap_refusal(gap_of(standing.state))
