"""The sections of the console, and the method each one shows what it tells."""

from typing import Final

from google.protobuf.message import Message

from creditgate.v1 import alert_service_pb2 as alerts_pb
from creditgate.v1 import brake_service_pb2 as brakes_pb
from creditgate.v1 import clearing_service_pb2 as clearing_pb
from creditgate.v1 import conformance_service_pb2 as conformance_pb
from creditgate.v1 import operator_service_pb2 as operators_pb
from creditgate.v1 import scope_service_pb2 as scopes_pb
from creditgate.v1 import settlement_service_pb2 as settlement_pb
from creditgate.v1 import usage_service_pb2 as usage_pb
from gateway.pages.words import Words

TABS: Final[tuple[tuple[str, Words, type[Message] | None], ...]] = (
    ("", ("总览", "Overview"), None),
    ("/operators", ("运营机构", "Operators"), operators_pb.ListOperatorsRequest),
    ("/proposals", ("双人复核", "Proposals"), scopes_pb.ListProposalsRequest),
    ("/scopes", ("权限范围", "Scopes"), scopes_pb.ListScopeDefinitionsRequest),
    ("/prices", ("价格与分成", "Prices"), settlement_pb.ListPricePlansRequest),
    ("/use", ("用量与结算", "Use and settlement"), usage_pb.GetStatementRequest),
    ("/clearing", ("地区间清算", "Clearing"), clearing_pb.ListClearingsRequest),
    ("/conformance", ("一致性", "Conformance"), conformance_pb.GetConformanceRequest),
    ("/alerts", ("异常提示", "Alerts"), alerts_pb.ListAlertsRequest),
    ("/brakes", ("紧急刹车", "Emergency brake"), brakes_pb.ListBrakesRequest),
)
"""Path below the console's, title, and the request of the method; None for everybody."""
