"""How large the disclosure logs of regions were lately, by when: what a directory must know of."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from gateway.failure_kind import failure_kind
from gateway.federation.asking.directory_note import LIFE_SECONDS
from gateway.federation.trust.book import Region

APART_SECONDS: Final = 15
"""How long after one look the next is."""
_KEPT_SECONDS: Final = 2 * LIFE_SECONDS
_log = logging.getLogger(__name__)


class _Seen(NamedTuple):
    at: int
    size: int
    catalogue: str


class LogSizes:
    """What was seen of the logs of regions; one event loop's own.

    ``witnessed`` gives the sizes that this region's own witness has cosigned last, by the C2SP key
    of the log (blocks); ``now`` seconds UTC.
    """

    def __init__(self, witnessed: Callable[[], Mapping[str, int]], now: Callable[[], int]) -> None:
        self._witnessed = witnessed
        self._now = now
        self._seen: dict[str, deque[_Seen]] = {}
        self._looked_at = float("-inf")

    async def look(self, regions: Sequence[Region]) -> None:
        """See how large the logs of ``regions`` are, unless that was seen a moment ago."""
        if 0 <= self._now() - self._looked_at < APART_SECONDS:
            return
        self._looked_at = self._now()
        try:
            sizes = await asyncio.to_thread(self._witnessed)
        except SQLAlchemyError as error:
            _log.error("the sizes of logs could not be read: %s", failure_kind(error))
            return
        # Once they were read, or they could be larger than they were by then.
        now = self._now()
        self._seen = {each.entity_id: self._seen.get(each.entity_id, deque()) for each in regions}
        for region in regions:
            seen = self._seen[region.entity_id]
            while seen and not now - _KEPT_SECONDS <= seen[0].at <= now:
                seen.popleft()
            if (size := sizes.get(region.log_keys.get("disclosure", ""))) is not None:
                seen.append(_Seen(now, size, region.catalogue_version))

    def at(self, region: Region, at: int) -> int:
        """Return how large the log of ``region`` was at least at an instant (seconds, UTC), 0 where
        that is not known of its catalogue of now: what its items open may be others by then."""
        return max(
            (
                seen.size
                for seen in self._seen.get(region.entity_id, ())
                if seen.at <= at and seen.catalogue == region.catalogue_version
            ),
            default=0,
        )
