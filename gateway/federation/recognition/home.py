"""What is asked of the region a document comes from, while it is recognised."""

from typing import Any, Final, NamedTuple, Protocol

import grpc
from google.protobuf.message import Message

from creditgate.refusal import Refused
from creditgate.v1 import disclosure_service_pb2 as disclosure_pb
from creditgate.v1 import report_service_pb2 as reports_pb
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.federation.asking.links import RegionLinks
from gateway.federation.asking.tokens import NoToken, RegionTokens
from gateway.federation.trust.book import Region

_SCOPE: Final = "federation.statements:read"
_SECONDS: Final = 5.0


class LaterState(NamedTuple):
    """A later checkpoint with its cosignatures, and the consistency proof that leads to it."""

    note: str
    consistency_proof: list[bytes]


class HomeRegion(Protocol):
    """The region a document comes from. Each raises Refused TEMPORARILY_UNAVAILABLE where it
    does not answer."""

    async def report_status(self, region: Region, name: str, check_code: str) -> str:
        """Return the signed status of a report."""
        ...

    async def subject_proof(
        self, region: Region, subject: str
    ) -> disclosure_pb.GetSubjectProofResponse:
        """Return the proof of what is disclosed of a subject now."""
        ...

    async def later_state(self, region: Region, size: int) -> LaterState:
        """Return the newest checkpoint, and the proof that it extends that of ``size``."""
        ...


class HomeCalls:
    """`HomeRegion` over gRPC, by methods that any client may call; one event loop's own."""

    def __init__(self, links: RegionLinks, tokens: RegionTokens) -> None:
        self._links = links
        self._tokens = tokens

    async def report_status(self, region: Region, name: str, check_code: str) -> str:
        """Return the signed status of a report; see `HomeRegion`."""
        answer = await self._asked(
            region,
            "ReportService/GetCreditReportStatus",
            reports_pb.GetCreditReportStatusRequest(name=name, check_code=check_code),
            reports_pb.GetCreditReportStatusResponse,
        )
        return answer.statement

    async def subject_proof(
        self, region: Region, subject: str
    ) -> disclosure_pb.GetSubjectProofResponse:
        """Return the proof of what is disclosed of a subject; see `HomeRegion`."""
        return await self._asked(
            region,
            "DisclosureService/GetSubjectProof",
            disclosure_pb.GetSubjectProofRequest(subject=subject),
            disclosure_pb.GetSubjectProofResponse,
        )

    async def later_state(self, region: Region, size: int) -> LaterState:
        """Return the newest checkpoint; see `HomeRegion`."""
        answer = await self._asked(
            region,
            "DisclosureService/GetConsistencyProof",
            disclosure_pb.GetConsistencyProofRequest(first_tree_size=size),
            disclosure_pb.GetConsistencyProofResponse,
        )
        return LaterState(answer.checkpoint, list(answer.proof))

    async def _asked(self, region: Region, method: str, request: Message, answers: Any) -> Any:
        try:
            token = await self._tokens.own(region, _SCOPE)
            channel, *_ = await self._links.channels(region)
        except (NoToken, OSError):
            raise _unreachable() from None
        try:
            call: Any = channel.unary_unary(
                f"/creditgate.v1.{method}",
                request_serializer=type(request).SerializeToString,
                response_deserializer=answers.FromString,
            )
            return await call(
                request, metadata=(("authorization", f"Bearer {token}"),), timeout=_SECONDS
            )
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.UNAUTHENTICATED:
                self._tokens.forget(token)
            raise _unreachable() from None


def _unreachable() -> Refused:
    return Refused(
        RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE,
        "The region the document comes from does not answer; try again.",
        retry_after=5,
    )
