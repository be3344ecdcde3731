"""A report as it is kept."""

from typing import NamedTuple

from creditgate.credit_report import ReportPeriod
from creditgate.v1.report_service_pb2 import CreditReportState

State = CreditReportState
OPERATORS = "operators/"
SUBJECTS = "subjects/"
NAME_PREFIX = "reports/"


class IssuedReport(NamedTuple):
    """One report; see `gateway.reports.tables` for its parts. Times in seconds UTC."""

    report_id: str
    issued_by: str
    request_id: str
    request_digest: bytes
    actor: str
    subject: str
    items: tuple[str, ...]
    period: ReportPeriod
    purpose: int
    consent: str
    check_code: str
    disclosure_sequence: int
    stated: tuple[int, ...]
    served_at: int
    issued_at: int
    expires_at: int
    document_digest: bytes
    document: str
    revoked_at: int = 0

    @property
    def name(self) -> str:
        """Resource name."""
        return NAME_PREFIX + self.report_id


class Standing(NamedTuple):
    """Whether a report holds; ``since`` when it does not, None while it does."""

    state: State.ValueType
    since: int | None

    @property
    def holds(self) -> bool:
        """Whether it holds."""
        return self.since is None
