"""The check of a whole installation: what is kept of the disclosure, its log and its map is
made anew from the disclosure itself, and compared to the last byte.

It works beside a running gateway: evidence is read as of one instant, and the disclosure up to
the event that it had come to then, which nothing changes afterwards.
"""

from contextlib import suppress
from struct import error as StructError
from typing import NamedTuple

from google.protobuf.message import DecodeError
from sqlalchemy import Connection, select

from creditgate.transparency.note import VerifierKey
from creditgate.v1.disclosure_proof_pb2 import DisclosureLogEntry, MapHead
from gateway.storage.engines import Engines, reading, snapshot
from gateway.transparency.check_events import CheckedEvents
from gateway.transparency.check_log import CheckedLog
from gateway.transparency.check_map import CheckedMap
from gateway.transparency.disclosure_map import head_message
from gateway.transparency.entries import event_entries, sealed
from gateway.transparency.events import DisclosedEvent
from gateway.transparency.faults import EnoughFaults, Fault, Faults
from gateway.transparency.identity import known_key
from gateway.transparency.map_openness import Openness, read_openness
from gateway.transparency.map_rows import FIRST_HEAD, HEAD, HeadRow
from gateway.transparency.members import Members
from gateway.transparency.salts import Salts
from gateway.transparency.tables import HEADS, LOGS, LogId


class Checked(NamedTuple):
    """What was looked at, and what was wrong."""

    entries: int
    events: int
    checkpoints: int
    faults: list[Fault]


def check_disclosure(engines: Engines, salts: Salts) -> Checked:
    """Check the disclosure log and map against the disclosure, and it against them.

    Raises what the stores raise when they cannot be read.
    """
    faults = Faults()
    with reading(engines.records) as records, snapshot(engines.evidence) as evidence:
        check = _Check(records, evidence, salts, faults)
        with suppress(EnoughFaults):
            check.run()
    return check.checked()


class _Check:
    def __init__(
        self, records: Connection, evidence: Connection, salts: Salts, faults: Faults
    ) -> None:
        self._records = records
        self._evidence = evidence
        self._salts = salts
        self._faults = faults
        self._entries = self._events = self._checkpoints = 0

    def checked(self) -> Checked:
        """Return what was found."""
        return Checked(self._entries, self._events, self._checkpoints, self._faults.found)

    def run(self) -> None:
        """Check everything. Raises EnoughFaults."""
        key = known_key(self._evidence, LogId.DISCLOSURE)
        if key is None:
            begun = self._evidence.execute(select(HEADS.c.log_index).limit(1)).first()
            self._faults.require(begun is None, "logs", "the log's own row is missing")
            return
        self._check_salts()
        row = self._evidence.execute(HEAD).first()
        head = FIRST_HEAD if row is None else HeadRow(*row)
        openness = read_openness(self._evidence)
        checked_map = CheckedMap(head, openness, self._salts, self._faults)
        self._check_log(key, head, openness, checked_map)
        checked_map.check(self._evidence)

    def _check_salts(self) -> None:
        kept = self._evidence.execute(
            select(LOGS.c.salts).where(LOGS.c.log == LogId.DISCLOSURE)
        ).scalar()
        self._faults.require(
            bytes(kept or b"") == self._salts.fingerprint, "logs", "the salts are others"
        )

    def _check_log(
        self, key: VerifierKey, head: HeadRow, openness: Openness, checked_map: CheckedMap
    ) -> None:
        log = CheckedLog(self._evidence, LogId.DISCLOSURE, key, self._faults)
        events = CheckedEvents(self._records, head.event_sequence, self._faults).events()
        heads = iter(
            self._evidence.execute(
                select(HEADS.c.log_index, HEADS.c.event_sequence, HEADS.c.seal).order_by(
                    HEADS.c.log_index
                )
            ).all()
        )
        members = Members(self._salts)
        since: list[DisclosedEvent] = []
        seal, number, last = b"", 0, MapHead()
        signed_at: dict[int, int] = {}
        for entry in log.entries():
            decoded = self._decoded(entry)
            if not decoded.HasField("map_head"):
                event = next(events, None)
                if event is not None:
                    self._events += 1
                    since.append(event)
                    checked_map.saw(event)
                self._faults.require(
                    event is not None and entry == self._expected(event, members, openness),
                    f"disclosure_events, sequence {decoded.event.event_sequence}",
                    "it is not what the log committed to",
                )
            else:
                last, number = decoded.map_head, number + 1
                seal = sealed(self._salts, seal, since)
                since.clear()
                kept = next(heads, None)
                self._faults.require(
                    kept is not None
                    and (kept.log_index, kept.event_sequence, bytes(kept.seal))
                    == (self._entries, last.event_sequence, seal),
                    f"disclosure_log_heads, log_index {self._entries}",
                    "it is not that of the entry, or of the events before it",
                )
                signed_at[self._entries + 1] = last.map_time.seconds
            self._entries += 1
        self._checkpoints = len(log.checkpoints)
        self._faults.require(
            log.checkpoints == signed_at,
            "log_checkpoints, disclosure",
            "they were signed at other times, or are not one for each map head",
        )
        self._faults.require(
            next(events, None) is None, "disclosure_events", "events are not in the log"
        )
        self._faults.require(next(heads, None) is None, "disclosure_log_heads", "heads too many")
        logged = head_message(head, openness, self._salts) if head.number else MapHead()
        self._faults.require(
            (head.number, logged) == (number, last),
            "map_head",
            "it is not that of the log",
        )

    def _decoded(self, entry: bytes) -> DisclosureLogEntry:
        try:
            return DisclosureLogEntry.FromString(entry)
        except DecodeError:
            self._faults.note(f"log_bundles, entry {self._entries}", "it cannot be read")
            return DisclosureLogEntry()

    def _expected(
        self, event: DisclosedEvent, members: Members, openness: Openness
    ) -> bytes | None:
        try:
            protected = openness.protected_at(event.item, event.sequence)
            member = members.digest(event, protected)
            return event_entries([event], self._salts, [member])[0]
        except (LookupError, ValueError, StructError):
            # An item that was never known, content that was never admitted, or a number that
            # no event has.
            return None
