"""The directories of other regions, as this process holds them.

Each is fetched again while it is still relied on, so that a region which can be reached is
routed by a directory minutes old at most; from one that cannot, it lapses, and the region is
asked about everybody.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any, Final

import grpc

from creditgate.refusal import Refused
from creditgate.transparency.merkle import ProofInvalid
from creditgate.v1.region_directory_service_pb2 import (
    GetSubjectDirectoryRequest,
    GetSubjectDirectoryResponse,
)
from gateway.federation.asking.directory_note import (
    LIFE_SECONDS,
    SubjectDirectory,
    directory_of,
    open_directory_note,
)
from gateway.federation.asking.links import RegionLinks
from gateway.federation.asking.subject_filter import MOST_ENTRIES_POWER
from gateway.federation.asking.tokens import NoToken, RegionTokens
from gateway.federation.trust.book import Region, RegionBook
from gateway.federation.trust.log_keys import log_keys

SCOPE: Final = "federation.directory:read"
REFRESH_SECONDS: Final = 240.0
_RETRY_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 1.0
_CALL_SECONDS: Final = 60
_METHOD: Final = "/creditgate.v1.RegionDirectoryService/GetSubjectDirectory"
_MOST_BYTES: Final = 1 << MOST_ENTRIES_POWER
_log = logging.getLogger(__name__)


class Directories:
    """Keeps the directories of the regions that stand; one event loop's own.

    ``now`` gives seconds UTC.
    """

    def __init__(
        self,
        book: RegionBook,
        links: RegionLinks,
        tokens: RegionTokens,
        now: Callable[[], int],
    ) -> None:
        self._book = book
        self._links = links
        self._tokens = tokens
        self._now = now
        self._held: dict[str, SubjectDirectory] = {}
        self._task: asyncio.Task[None] | None = None

    def standing(self, region: str, now: int) -> SubjectDirectory | None:
        """Return the directory of ``region`` that is relied on at ``now`` (seconds, UTC)."""
        held = self._held.get(region)
        return held if held is not None and held.stands(now) else None

    def start(self) -> None:
        """Begin to fetch."""
        self._task = asyncio.create_task(self._follow(), name="directories")

    async def stop(self) -> None:
        """Fetch no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def fetch(self, region: Region) -> None:
        """Fetch the directory of ``region``, unless the one held is its newest.

        Raises ProofInvalid for what its note does not name, NoToken, OSError, and what the
        call raises.
        """
        held = self._held.get(region.entity_id)
        request = GetSubjectDirectoryRequest(
            known_digest=held.named.digest if held is not None else b""
        )
        token = await self._tokens.own(region, SCOPE)
        channel, *_ = await self._links.channels(region)
        method: Any = channel.unary_stream(
            _METHOD,
            request_serializer=GetSubjectDirectoryRequest.SerializeToString,
            response_deserializer=GetSubjectDirectoryResponse.FromString,
        )
        call: Any = method(
            request, metadata=(("authorization", f"Bearer {token}"),), timeout=_CALL_SECONDS
        )
        note, bits = "", bytearray()
        try:
            async for piece in call:
                note = note or piece.note
                bits += piece.filter
                if len(bits) > _MOST_BYTES:
                    raise ProofInvalid("the filter is larger than any")
        finally:
            call.cancel()
        named = open_directory_note(note, region.entity_id, log_keys(region, "disclosure").live)
        if named.made_at > self._now() + LIFE_SECONDS:
            raise ProofInvalid("the directory is of a time to come")
        known = bytes(bits)
        if not known and held is not None and held.named.digest == named.digest:
            known = held.filter.bits
        self._held[region.entity_id] = await asyncio.to_thread(directory_of, named, known)

    async def _follow(self) -> None:
        due: dict[str, float] = {}
        while True:
            # What cannot be known for the moment may be known the next.
            with contextlib.suppress(Refused):
                await self._look(due)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _look(self, due: dict[str, float]) -> None:
        """Fetch what is due, by the event loop's clock. Raises Refused."""
        monotonic = asyncio.get_running_loop().time
        regions = self._book.regions()
        standing = {region.entity_id for region in regions}
        # Whoever is trusted no longer is not remembered either.
        self._held = {name: each for name, each in self._held.items() if name in standing}
        for region in regions:
            if monotonic() < due.get(region.entity_id, float("-inf")):
                continue
            try:
                await self.fetch(region)
                due[region.entity_id] = monotonic() + REFRESH_SECONDS
            except (ProofInvalid, NoToken, OSError, grpc.RpcError) as error:
                _log.info("no directory of %s: %s", region.entity_id, type(error).__name__)
                due[region.entity_id] = monotonic() + _RETRY_SECONDS
