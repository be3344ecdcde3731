"""RegionDirectoryService: this region's directory, for its peers."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from creditgate.refusal import Refused
from creditgate.v1.operator_service_pb2 import ClientRole
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.region_directory_service_pb2 import (
    GetSubjectDirectoryRequest,
    GetSubjectDirectoryResponse,
)
from gateway.authenticate.caller import Caller
from gateway.federation.asking.own_directory import OwnDirectory
from gateway.shares import Shares

_PIECE_BYTES: Final = 1 << 20


class RegionDirectoryService:
    """Every method of creditgate.v1.RegionDirectoryService."""

    def __init__(self, own: OwnDirectory, shares: Shares) -> None:
        self._own = own
        self._shares = shares

    async def get_subject_directory(
        self, request: GetSubjectDirectoryRequest, caller: Caller
    ) -> AsyncIterator[GetSubjectDirectoryResponse]:
        """Answer GetSubjectDirectory.

        Raises Refused SCOPE_NOT_GRANTED for other than regions, TEMPORARILY_UNAVAILABLE where
        there is none.
        """
        if caller.role != ClientRole.CLIENT_ROLE_REGION:
            raise Refused(
                RefusalReason.REFUSAL_REASON_SCOPE_NOT_GRANTED,
                "A directory is for other regions alone.",
            )
        published = await self._shares.run(caller.asker, self._own.newest)
        yield GetSubjectDirectoryResponse(note=published.note)
        if request.known_digest == published.named.digest:
            return
        bits = published.filter.bits
        for start in range(0, len(bits), _PIECE_BYTES):
            yield GetSubjectDirectoryResponse(filter=bits[start : start + _PIECE_BYTES])
            await asyncio.sleep(0)
