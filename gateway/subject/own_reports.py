"""Reports a company has issued about itself: what its pages need of whoever issues them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.pages.words import Words


@dataclass(frozen=True, slots=True)
class OwnReport:
    """A report a company has of itself. Times in seconds UTC; ``since`` is when it ceased to
    hold, None while it does. ``status_path`` is the path of the page that tells others so."""

    report_id: str
    items: tuple[str, ...]
    issued_at: int
    expires_at: int
    state: Words
    since: int | None
    revocable: bool
    status_path: str


@dataclass(frozen=True, slots=True)
class OwnReportAsked:
    """What a company asks for: a report of ``items``, catalogue codes in order, for
    ``recipient``, "" for nobody in particular. ``request_id`` makes a form that is sent
    twice one request."""

    subject: str
    principal: str
    request_id: str
    items: tuple[str, ...]
    recipient: str


class OwnReports(Protocol):
    """Issues reports to the companies they are about, free of charge."""

    async def issue(self, asked: OwnReportAsked) -> str:
        """Issue a report and return its id.

        Raises Refused: RATE_EXCEEDED where the company had many on one day,
        ANSWER_TOO_LARGE, TEMPORARILY_UNAVAILABLE, AUTHORITY_UNKNOWN.
        """
        ...

    async def listed(self, subject: str, before: str) -> tuple[Sequence[OwnReport], str]:
        """Return a company's reports, newest first, from behind the id ``before``, and the id
        to go on from, "" where there are no more."""
        ...

    async def document(self, subject: str, report_id: str) -> str | None:
        """Return a report as signed; None where the company has none such that holds."""
        ...

    async def pdf(self, subject: str, report_id: str) -> bytes | None:
        """Return a report as a PDF; None as `document`. Raises Refused RATE_EXCEEDED."""
        ...

    async def revoke(self, subject: str, report_id: str, principal: str) -> bool:
        """Take a report back; False where the company has none such."""
        ...
