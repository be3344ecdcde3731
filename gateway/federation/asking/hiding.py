"""Regions that leave companies out of their directories, found out by what they prove (G10).

A directory has everybody of whom there are public records when it is made. So a record that is
proved now, and was in the region's log before a directory was made that denies its subject, shows
that the directory was false. It is asked for all the same where a firm wants every region asked,
and once in a while without being told (`gateway.federation.asking.service.doubted`).
"""

import asyncio
import logging
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from creditgate.refusal import Refused
from creditgate.v1.alert_service_pb2 import AlertKind
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from gateway.alerts.raising import raise_alert
from gateway.clock import Clock
from gateway.failure_kind import failure_kind
from gateway.federation.asking.believing import Question
from gateway.federation.asking.calls import Verified
from gateway.federation.asking.directories import Directories
from gateway.federation.asking.directory_note import SubjectDirectory
from gateway.federation.asking.directory_store import DirectoryFault, DirectoryStore
from gateway.federation.asking.routing import Directory
from gateway.federation.trust.anew import Anew
from gateway.federation.trust.book import RegionBook
from gateway.storage.bounded import bounded

MOST_ANSWER_BYTES: Final = 4 << 20
"""Larger answers are not kept as evidence; the directory is, and which record it denied."""
_HOUR_SECONDS: Final = 3_600
_RECORDS: Final = "records/"
_log = logging.getLogger(__name__)


class Hiding:
    """Looks at what regions proved; one event loop's own."""

    def __init__(
        self,
        book: RegionBook,
        anew: Anew,
        directories: Directories,
        store: DirectoryStore,
        evidence: Engine,
        clock: Clock,
    ) -> None:
        self._book = book
        self._anew = anew
        self._directories = directories
        self._store = store
        self._evidence = evidence
        self._clock = clock

    async def look(
        self, directory: Directory | None, question: Question, verified: Verified
    ) -> None:
        """Look whether a chunk proves a record that ``directory``, as it stood when the question was
        planned, should have known of: then its region's directories are relied on no more."""
        if not isinstance(directory, SubjectDirectory):
            return
        hidden = _denied(directory, verified)
        if hidden is None or not await self._is_catalogue_of(directory):
            return
        region, now = question.region, self._clock.now()
        _log.critical(
            "a directory of %s denied a company of which it proves an older record: its directories"
            " are relied on no more",
            region.entity_id,
        )
        fault = DirectoryFault(
            region.entity_id,
            directory.made_at,
            directory.note,
            directory.filter.bits,
            directory.log_size,
            hidden.subject,
            hidden.name.removeprefix(_RECORDS),
            hidden.event_sequence,
            question.query.request_id,
            _kept(verified.parts),
            now,
        )
        try:
            await asyncio.to_thread(self._store.keep_fault, fault)
            await asyncio.to_thread(self._raise, region.operator_id or region.client_id, now)
        except SQLAlchemyError as error:
            _log.error("a false directory could not be kept: %s", failure_kind(error))
        finally:
            self._directories.distrust(region.entity_id)

    async def _is_catalogue_of(self, directory: SubjectDirectory) -> bool:
        """Tell whether the region's catalogue is still the one of its directory: an item that was
        opened since was in no directory."""
        try:
            region = self._book.region(directory.named.region)
            # As it is now, not as it was a minute ago.
            await self._anew(region)
            return self._book.region(region.entity_id).catalogue_version == directory.catalogue
        except Refused:
            return False

    def _raise(self, operator_id: str, now: int) -> None:
        hour = now // _HOUR_SECONDS
        with bounded(self._evidence) as connection:
            raise_alert(
                connection,
                operator_id,
                AlertKind.ALERT_KIND_FALSE_DIRECTORY,
                hour=hour,
                purpose=0,
                started_at=hour * _HOUR_SECONDS,
                counted=1,
                threshold=1,
                now=now,
            )


def _denied(directory: SubjectDirectory, verified: Verified) -> DisclosedRecord | None:
    """Return a record of a chunk that a directory should have known of and denies.

    The last entry of the log is the head of the map that proves the chunk, with the number of the
    last event in it. Behind the event of a record there are the later events at least: so it is known
    how far on in the log it lies at most.
    """
    chunk = verified.chunk
    if not chunk.last_event:
        return None
    before_head = chunk.checkpoint.size - 2
    return next(
        (
            record
            for record in chunk.records
            if before_head - (chunk.last_event - record.event_sequence) < directory.log_size
            and not directory.may_hold(record.subject)
        ),
        None,
    )


def _kept(parts: tuple[bytes, ...]) -> bytes:
    """Return the messages of a chunk one after the other, each with its length (4 bytes) before it."""
    if sum(map(len, parts)) > MOST_ANSWER_BYTES:
        return b""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
