"""A question as it was admitted."""

from typing import NamedTuple

from creditgate.v1.federated_record_service_pb2 import QueryRegionsRequest
from gateway.federation.asking.deciding import Admitted, Decided
from gateway.federation.asking.quota import QuotaLeft
from gateway.respond.use import Use


class Asked(NamedTuple):
    """A question as it was admitted: what all its regions have in common."""

    request: QueryRegionsRequest
    use: Use
    decided: Decided
    admitted: Admitted
    quota: QuotaLeft
    deadline: float
