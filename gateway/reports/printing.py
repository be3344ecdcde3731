"""Printing reports: PDFs made one at a time, beside what else a process does."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from creditgate.credit_report import stated_in
from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason

MOST_WAITING: Final = 64
"""Most reports that wait to be printed."""


class ReportPrinter:
    """Prints reports; one event loop's own."""

    def __init__(self) -> None:
        # One thread: however many are asked for, at most one takes time from calls.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="report-printer")
        self._waiting = 0

    async def pdf(self, document: str) -> bytes:
        """Return the PDF of a report. Raises Refused RATE_EXCEEDED where too many wait."""
        if self._waiting >= MOST_WAITING:
            raise Refused(
                RefusalReason.REFUSAL_REASON_RATE_EXCEEDED,
                "More reports wait to be printed than the gateway takes; try again.",
                retry_after=1,
            )
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._thread, _printed, document
            )
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Print nothing any more."""
        self._thread.shutdown(cancel_futures=True)


def _printed(document: str) -> bytes:
    # Not at start: most processes never print, and the library is large.
    from gateway.reports.pdf import pdf_of

    return pdf_of(stated_in(document), document)
