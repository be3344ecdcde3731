"""A report as it is kept."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from creditgate.credit_report import ReportPeriod
from creditgate.v1.report_service_pb2 import CreditReportState
from operators.shapes import covers

State = CreditReportState
OPERATORS = "operators/"
SUBJECTS = "subjects/"
NAME_PREFIX = "reports/"
_EVERYWHERE: Final[Mapping[str, frozenset[str]]] = MappingProxyType({})


class IssuedReport(NamedTuple):
    """One report; see `gateway.reports.tables` for its parts. Times in seconds UTC.

    ``regions`` are the region codes whose records of an item it states, an item left out where
    it states those of all.
    """

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
    regions: Mapping[str, frozenset[str]] = _EVERYWHERE

    @property
    def name(self) -> str:
        """Resource name."""
        return NAME_PREFIX + self.report_id

    def reaches(self, item: str, region: str) -> bool:
        """Tell whether it has to state records of ``item`` in ``region``."""
        within = self.regions.get(item)
        return within is None or covers(within, region)


class Standing(NamedTuple):
    """Whether a report holds; ``since`` when it does not, None while it does."""

    state: State.ValueType
    since: int | None

    @property
    def holds(self) -> bool:
        """Whether it holds."""
        return self.since is None
