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
from sqlalchemy.exc import SQLAlchemyError

from creditgate.refusal import Refused
from creditgate.transparency.merkle import ProofInvalid
from creditgate.v1.region_directory_service_pb2 import (
    GetSubjectDirectoryRequest,
    GetSubjectDirectoryResponse,
)
from gateway.ending import end
from gateway.federation.asking.directory_note import (
    FRESH_SECONDS,
    LIFE_SECONDS,
    SubjectDirectory,
    directory_of,
    open_directory_note,
)
from gateway.federation.asking.directory_store import DirectoryStore, KeptNote
from gateway.federation.asking.links import RegionLinks
from gateway.federation.asking.log_sizes import LogSizes
from gateway.federation.asking.subject_filter import MOST_ENTRIES_POWER
from gateway.federation.asking.tokens import NoToken, RegionTokens
from gateway.federation.trust.book import Region, RegionBook
from gateway.federation.trust.log_keys import log_keys

SCOPE: Final = "federation.directory:read"
REFRESH_SECONDS: Final = 240.0
_RETRY_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 1.0
_DISTRUST_READ_SECONDS: Final = 5.0
GIVEN_SECONDS: Final = FRESH_SECONDS + 60
"""A directory was made no longer than this before it was asked for, and knows what was in the log
then."""
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
        store: DirectoryStore,
        sizes: LogSizes,
    ) -> None:
        self._store = store
        self._sizes = sizes
        self._distrusted: frozenset[str] = frozenset()
        self._distrust_read_at = float("-inf")
        self._book = book
        self._links = links
        self._tokens = tokens
        self._now = now
        self._held: dict[str, SubjectDirectory] = {}
        self._task: asyncio.Task[None] | None = None

    def standing(self, region: str, now: int) -> SubjectDirectory | None:
        """Return the directory of ``region`` that is relied on at ``now`` (seconds, UTC)."""
        held = self._held.get(region)
        relied_on = held is not None and held.stands(now) and region not in self._distrusted
        return held if relied_on else None

    def distrust(self, region: str) -> None:
        """Rely on no directory of ``region`` from now on; for how long, the store tells."""
        self._distrusted |= {region}

    def start(self) -> None:
        """Begin to fetch."""
        self._task = asyncio.create_task(self._follow(), name="directories")

    async def stop(self) -> None:
        """Fetch no more."""
        if self._task is not None:
            await end(self._task)

    async def fetch(self, region: Region) -> None:
        """Fetch the directory of ``region``, unless the one held is its newest.

        Raises ProofInvalid for what its note does not name, NoToken, OSError, and what the
        call raises.
        """
        held, asked_at = self._held.get(region.entity_id), self._now()
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
        named = open_directory_note(note, region.entity_id, log_keys(region, "disclosure").present)
        if named.made_at > self._now() + LIFE_SECONDS:
            raise ProofInvalid("the directory is of a time to come")
        known = bytes(bits)
        if not known and held is not None and held.named.digest == named.digest:
            known = held.filter.bits
        size = self._sizes.at(region, min(asked_at - GIVEN_SECONDS, named.made_at))
        made = await asyncio.to_thread(directory_of, named, known)
        self._held[region.entity_id] = made._replace(
            note=note, log_size=size, catalogue=region.catalogue_version
        )
        if held is None or held.note != note:
            kept = KeptNote(region.entity_id, named.made_at, note, asked_at, size)
            await asyncio.to_thread(self._store.keep_note, kept)

    async def _follow(self) -> None:
        due: dict[str, float] = {}
        while True:
            # What cannot be known for the moment may be known the next.
            with contextlib.suppress(Refused, SQLAlchemyError):
                await self._look(due)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _look(self, due: dict[str, float]) -> None:
        """Fetch what is due, by the event loop's clock. Raises Refused."""
        monotonic = asyncio.get_running_loop().time
        regions = self._book.regions()
        await self._sizes.look(regions)
        if not 0 <= monotonic() - self._distrust_read_at < _DISTRUST_READ_SECONDS:
            self._distrust_read_at = monotonic()
            self._distrusted = await asyncio.to_thread(self._store.distrusted, self._now())
        standing = {region.entity_id for region in regions}
        # Whoever is trusted no longer is not remembered either.
        self._held = {name: each for name, each in self._held.items() if name in standing}
        for region in regions:
            if monotonic() < due.get(region.entity_id, float("-inf")):
                continue
            try:
                await self.fetch(region)
                due[region.entity_id] = monotonic() + REFRESH_SECONDS
            except (ProofInvalid, NoToken, OSError, grpc.RpcError, SQLAlchemyError) as error:
                _log.info("no directory of %s: %s", region.entity_id, type(error).__name__)
                due[region.entity_id] = monotonic() + _RETRY_SECONDS
