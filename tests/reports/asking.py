"""Reports as operators ask for them, and what of them holds."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from consent.model import Consent
from creditgate.credit_report import CreditReport, stated_in
from creditgate.transparency.note import VerifierKey
from creditgate.v1 import report_service_pb2 as pb
from creditgate.v1 import report_service_pb2_grpc as pb_grpc
from creditgate.v1.report_service_pb2 import CreditReportState
from gateway.transparency.keys import LogKey
from tests.people import COMPANY
from tests.subject.world import CREDIT_APPROVAL, PENALTY, World

CURRENT = CreditReportState.CREDIT_REPORT_STATE_CURRENT
SUPERSEDED = CreditReportState.CREDIT_REPORT_STATE_SUPERSEDED
EXPIRED = CreditReportState.CREDIT_REPORT_STATE_EXPIRED
REVOKED = CreditReportState.CREDIT_REPORT_STATE_REVOKED


@dataclass(frozen=True)
class Reporter:
    """A client that asks a gateway for reports."""

    world: World
    channel: grpc.aio.Channel

    @property
    def stub(self) -> Any:
        """The methods."""
        return pb_grpc.ReportServiceStub(self.channel)

    async def issue(self, *items: str, **fields: Any) -> pb.IssueCreditReportResponse:
        """Have a report issued about the company."""
        return await self.stub.IssueCreditReport(self.request(*items, **fields), timeout=20)

    def request(self, *items: str, **fields: Any) -> pb.IssueCreditReportRequest:
        """Return a request for a report about the company."""
        usual: dict[str, Any] = {
            "subject": COMPANY,
            "items": items or (PENALTY,),
            "purpose": CREDIT_APPROVAL,
            "request_id": str(uuid4()),
        }
        if isinstance(consent := fields.get("consent"), Consent):
            fields["consent"] = consent.name
        return pb.IssueCreditReportRequest(**usual | fields)

    async def get(self, report: pb.CreditReport) -> pb.CreditReport:
        """Return a report again."""
        request = pb.GetCreditReportRequest(name=report.name)
        return (await self.stub.GetCreditReport(request, timeout=20)).report

    async def status(
        self, report: pb.CreditReport, check_code: str = ""
    ) -> pb.GetCreditReportStatusResponse:
        """Look a report up."""
        request = pb.GetCreditReportStatusRequest(
            name=report.name, check_code=check_code or report.check_code
        )
        return await self.stub.GetCreditReportStatus(request, timeout=20)

    async def revoke(self, report: pb.CreditReport) -> pb.CreditReport:
        """Take a report back."""
        request = pb.RevokeCreditReportRequest(name=report.name, reason="Invented reason")
        return (await self.stub.RevokeCreditReport(request, timeout=20)).report

    @property
    def log(self) -> VerifierKey:
        """The key of the disclosure log, as verifiers pin it."""
        home = self.world.installation.home
        return LogKey.kept_in(home.log_key("disclosure"), self.origin).verifier

    @property
    def origin(self) -> str:
        """The name of the disclosure log."""
        return self.world.gateway.running.issuer.partition("://")[2] + "/log/disclosure"


def stated(report: pb.CreditReport) -> CreditReport:
    """Return what a report states."""
    return stated_in(report.document)


async def refused(call: Awaitable[object]) -> str:
    """Return why a call is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return reason_of(error.value)


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """Return why a call was refused, for short."""
    for name, value in error.trailing_metadata() or ():
        if name == "grpc-status-details-bin":
            assert isinstance(value, bytes)
            info = error_details_pb2.ErrorInfo()
            status_pb2.Status.FromString(value).details[0].Unpack(info)
            return info.reason
    return error.code().name
