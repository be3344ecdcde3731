"""A gateway that answers on loopback with whatever its key has signed: honest ones, and lies."""

from base64 import b64encode
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from creditgate.refusal import DOMAIN
from creditgate.v1 import credit_record_service_pb2 as records_pb
from creditgate.v1 import usage_service_pb2 as pb
from creditgate.v1.usage_log_pb2 import UsageReceipt
from tests.usage.promises import Log


class Lying:
    """Serves ``log`` as an operator's; to each ask of a subject it tells that the request was
    superseded, with the receipt ``charged``, and to each delivery it gives ``parts``."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.charged = UsageReceipt()
        self.parts: Sequence[records_pb.BatchGetSubjectRecordsResponse] = ()
        self.cosigned = ""
        self.told_size: int | None = None

    async def leaves(
        self, request: pb.ListUsageLeavesRequest, context: Any
    ) -> pb.ListUsageLeavesResponse:
        """Answer with the log."""
        leaves = self.log.leaves[request.start_index :]
        return pb.ListUsageLeavesResponse(leaves=leaves, checkpoint=self.log.note)

    async def cosign(self, request: pb.CosignUsageRequest, context: Any) -> pb.CosignUsageResponse:
        """Take an agreement, and tell how far it goes."""
        self.cosigned = request.checkpoint
        size = int(request.checkpoint.splitlines()[1])
        return pb.CosignUsageResponse(size=self.told_size or size)

    async def refuse(
        self, request: records_pb.GetSubjectRecordsRequest, context: Any
    ) -> records_pb.GetSubjectRecordsResponse:
        """Refuse, with the receipt of what it says was charged before."""
        metadata = {"usage_receipt": b64encode(self.charged.SerializeToString()).decode()}
        packed = Packed()
        packed.Pack(
            error_details_pb2.ErrorInfo(
                domain=DOMAIN, reason="REQUEST_SUPERSEDED", metadata=metadata
            )
        )
        code = code_pb2.FAILED_PRECONDITION
        status = status_pb2.Status(code=code, message="superseded", details=[packed])
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "superseded")
        raise AssertionError

    async def deliver(
        self, requests: Any, context: Any
    ) -> AsyncGenerator[records_pb.DeliverSubjectRecordsResponse]:
        """Give the chunks."""
        for part in self.parts:
            yield records_pb.DeliverSubjectRecordsResponse(chunk=part)


@asynccontextmanager
async def lying(log: Log) -> AsyncGenerator[tuple[Lying, grpc.aio.Channel]]:
    """Serve for as long as the context lasts; give the gateway and a channel to it."""
    gateway = Lying(log)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(
                "creditgate.v1.UsageService",
                {
                    "ListUsageLeaves": _unary(gateway.leaves, pb.ListUsageLeavesRequest),
                    "CosignUsage": _unary(gateway.cosign, pb.CosignUsageRequest),
                },
            ),
            grpc.method_handlers_generic_handler(
                "creditgate.v1.CreditRecordService",
                {
                    "GetSubjectRecords": _unary(
                        gateway.refuse, records_pb.GetSubjectRecordsRequest
                    ),
                    "DeliverSubjectRecords": grpc.stream_stream_rpc_method_handler(
                        gateway.deliver,
                        records_pb.DeliverSubjectRecordsRequest.FromString,
                        _serialised,
                    ),
                },
            ),
        )
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield gateway, channel
    finally:
        await server.stop(None)


def _unary(answer: Any, request: type[Message]) -> "grpc.RpcMethodHandler[Any, Any]":
    return grpc.unary_unary_rpc_method_handler(answer, request.FromString, _serialised)


def _serialised(message: Message) -> bytes:
    return message.SerializeToString()
