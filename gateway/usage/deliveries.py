"""UsageService, as far as deliveries go: how one stands."""

from collections.abc import Callable

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.refusal import Refused, Violation, invalid
from creditgate.request_ids import is_request_id
from creditgate.v1 import usage_service_pb2 as pb
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from gateway.meter.deliveries import Deliveries, Told
from gateway.meter.delivery import DeliveryKey
from gateway.settle.whose import operator_asked
from gateway.shares import Shares
from operators.authority import Authority


class DeliveryStatements:
    """Shows operators their own deliveries, and administrators any operator's.

    ``authority`` gives the present one and raises Refused without.
    """

    def __init__(
        self, deliveries: Deliveries, reads: Shares, authority: Callable[[], Authority]
    ) -> None:
        self._deliveries = deliveries
        self._reads = reads
        self._authority = authority

    async def get_delivery(
        self, request: pb.GetDeliveryRequest, caller: Caller
    ) -> pb.GetDeliveryResponse:
        """Answer GetDelivery; raises Refused as `operator_asked`, INVALID_REQUEST,
        RESOURCE_NOT_FOUND."""
        operator_id = operator_asked(request.operator_id, caller, self._authority())
        if not is_request_id(request.request_id):
            raise invalid(Violation("request_id", "give the one the delivery was opened with"))
        told = await self._reads.run(
            caller.client_id, self._deliveries.told, DeliveryKey(operator_id, request.request_id)
        )
        if told is None:
            raise Refused(
                RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND,
                "The operator has no delivery of this request_id.",
            )
        return _message(request.request_id, told)


def _message(request_id: str, told: Told) -> pb.GetDeliveryResponse:
    message = pb.GetDeliveryResponse(
        request_id=request_id,
        state=pb.DeliveryState.ValueType(told.state),
        open_time=Timestamp(seconds=told.opened_at),
        charged_records=told.charged,
        acknowledged_records=told.acknowledged,
        credited_records=told.credited,
        standing_records=told.standing,
        credited_micro_yuan=told.credited_fee,
    )
    if told.settled_at is not None:
        message.settle_time.seconds = told.settled_at
    return message
