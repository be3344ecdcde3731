"""A plain model of disclosure, serving and conformance: lists gone through from the beginning.

It shares nothing with the gateway but the contract's names. Times are seconds, UTC.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

from creditgate.v1.conformance_service_pb2 import FindingKind
from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from creditgate.v1.vocabulary_pb2 import Severity

HOUR = 3_600
HOURS_TO_REMOVE = {Severity.SEVERITY_GENERAL: 40, Severity.SEVERITY_SERIOUS: 10}
PUBLISHED = DisclosureEventKind.DISCLOSURE_EVENT_KIND_PUBLISHED
CORRECTED = DisclosureEventKind.DISCLOSURE_EVENT_KIND_CORRECTED
REPAIRED = DisclosureEventKind.DISCLOSURE_EVENT_KIND_REPAIRED
WITHDRAWN = DisclosureEventKind.DISCLOSURE_EVENT_KIND_WITHDRAWN
_HELD = {
    CORRECTED: FindingKind.FINDING_KIND_CORRECTED_HELD,
    REPAIRED: FindingKind.FINDING_KIND_REPAIRED_HELD,
    WITHDRAWN: FindingKind.FINDING_KIND_WITHDRAWN_HELD,
}


_ALTERED = (
    FindingKind.FINDING_KIND_CONTENT_ALTERED,
    FindingKind.FINDING_KIND_PERIOD_ALTERED,
)
UNDER_WAY = 600
"""So long what was served may be on its way."""
_LAST = 1 << 62
"""A position behind all events."""


class Held(NamedTuple):
    """A copy as an operator holds it."""

    record_id: str
    content: bytes
    disclosed_from: int
    disclosed_until: int

    @property
    def digest(self) -> bytes:
        """SHA-256 of its content."""
        return sha256(self.content).digest()


class Event(NamedTuple):
    """What happened to a record."""

    sequence: int
    kind: DisclosureEventKind.ValueType
    at: int
    record_id: str
    revision: int


class Revision(NamedTuple):
    """A record as one event fixed it."""

    sequence: int
    number: int
    copy: Held
    severity: Severity.ValueType


class Fault(NamedTuple):
    """What is wrong with copies of a record; ``event`` made them void, 0 where none did."""

    kind: FindingKind.ValueType
    record_id: str
    event: int


@dataclass
class Record:
    """All that was disclosed of one record, and all events of it."""

    record_id: str
    subject: str
    revisions: list[Revision] = field(default_factory=list[Revision])
    events: list[Event] = field(default_factory=list[Event])

    @property
    def newest(self) -> Revision:
        """The newest revision."""
        return self.revisions[-1]

    @property
    def live(self) -> bool:
        """Whether its disclosure was not ended."""
        return self.events[-1].kind in (PUBLISHED, CORRECTED)

    def alike(self, copy: Held, before: int) -> list[Revision]:
        """Return the revisions before an event whose copy is just this."""
        return [each for each in self.revisions if each.copy == copy and each.sequence < before]

    def ended(self, revision: Revision) -> Event | None:
        """Return the event that made a revision void, None where none did."""
        later = [each for each in self.events if each.sequence > revision.sequence]
        return later[0] if later else None

    def served_at(self, now: int) -> Revision | None:
        """Return what may be served of it, None where nothing may."""
        copy = self.newest.copy
        shown = self.live and copy.disclosed_from <= now < copy.disclosed_until
        return self.newest if shown else None


@dataclass
class Firm:
    """One operator: what it was served, what it holds, what it owes and said."""

    served: dict[int, Revision] = field(default_factory=dict[int, Revision])
    served_at: dict[int, int] = field(default_factory=dict[int, int])
    """When it was served each last."""
    holds: set[Held] = field(default_factory=set[Held])
    acknowledged: dict[int, int] = field(default_factory=dict[int, int])
    """When it acknowledged the removal for each event."""
    said: set[int] = field(default_factory=set[int])
    """Events for which it owes nothing: it had said before that it holds no such copy."""
    standing: dict[tuple[int, str], Fault] = field(default_factory=dict[tuple[int, str], Fault])
    overdue: dict[int, str] = field(default_factory=dict[int, str])
    """Events with findings of overdue removals that stand, and their records."""
    noticed: set[int] = field(default_factory=set[int])
    """Events whose removals were ever found overdue."""
    told_missing: set[int] = field(default_factory=set[int])
    """Revisions it said it does not hold, and was not served since."""
    false: dict[str, int] = field(default_factory=dict[str, int])
    """Records, with their revisions, of which an attestation was false."""
    lied: bool = False
    """Whether such a finding was ever rectified."""


@dataclass
class History:
    """Everything that happened."""

    records: dict[str, Record] = field(default_factory=dict[str, Record])

    def of_subject(self, subject: str, now: int) -> dict[str, Revision]:
        """Return all that may be served of a subject."""
        return {
            record.record_id: revision
            for record in self.records.values()
            if record.subject == subject and (revision := record.served_at(now)) is not None
        }

    def told(self, firm: Firm) -> list[Event]:
        """Return the events an operator is told of: what came after it was first served."""
        return sorted(
            event
            for record in self.records.values()
            for event in record.events
            if event.kind != PUBLISHED
            and any(
                revision.sequence in firm.served and revision.sequence < event.sequence
                for revision in record.revisions
            )
        )

    def deadline(self, firm: Firm, event: Event) -> int | None:
        """Return by when an operator must have removed what an event made void: a copy like it that
        it was served, unless the event discloses that anew, or its period was over before."""
        record = self.records[event.record_id]
        for void in record.revisions:
            if record.ended(void) == event:
                alike = {each.sequence for each in record.alike(void.copy, event.sequence)}
                fixed = [each.copy for each in record.revisions if each.sequence == event.sequence]
                over = void.copy.disclosed_until <= event.at
                if not over and void.copy not in fixed and alike & firm.served.keys():
                    return event.at + HOURS_TO_REMOVE[void.severity] * HOUR
        return None

    def restored(self, event: Event) -> Event | None:
        """Return the event that disclosed anew what another made void, None where none did."""
        record = self.records[event.record_id]
        for void in record.revisions:
            if record.ended(void) == event:
                after = [each for each in record.revisions if each.sequence > event.sequence]
                again = {each.sequence for each in after if each.copy == void.copy}
                return next((each for each in record.events if each.sequence in again), None)
        return None

    def owed(self, firm: Firm) -> dict[int, int]:
        """Return the deadlines of removals owed and not acknowledged, by event."""
        return {
            event.sequence: deadline
            for event in self.told(firm)
            if (deadline := self.deadline(firm, event)) is not None
            and event.sequence not in firm.acknowledged
            and event.sequence not in firm.said
            and self.restored(event) is None
        }

    def note_said(self, firm: Firm, event: Event) -> None:
        """Note whether an operator has said before an event that it holds no copy it makes void."""
        record = self.records[event.record_id]
        for void in record.revisions:
            if record.ended(void) != event:
                continue
            alike = record.alike(void.copy, event.sequence)
            served = [each.sequence for each in alike if each.sequence in firm.served]
            ends = [end.sequence for each in alike if (end := record.ended(each)) is not None]
            gone = [each for each in ends if each in firm.acknowledged]
            if served and any(each > max(served) for each in gone):
                firm.said.add(event.sequence)
            if not firm.told_missing.isdisjoint(each.sequence for each in alike):
                firm.said.add(event.sequence)

    def drop_restored(self, firm: Firm) -> None:
        """Have what is overdue end by itself where the copies are right again."""
        events = {each.sequence: each for record in self.records.values() for each in record.events}
        firm.overdue = {
            sequence: record_id
            for sequence, record_id in firm.overdue.items()
            if self.restored(events[sequence]) is None
        }

    def entitled(self, firm: Firm, now: int) -> set[Held]:
        """Return the copies an operator should hold."""
        return {
            revision.copy
            for revision in firm.served.values()
            if self.records[revision.copy.record_id].ended(revision) is None
            and now < revision.copy.disclosed_until
        }

    def pass_time(self, firm: Firm, now: int) -> None:
        """Find what is overdue at ``now``."""
        for sequence, deadline in self.owed(firm).items():
            if deadline <= now and sequence not in firm.noticed:
                firm.noticed.add(sequence)
                firm.overdue[sequence] = self._record_of(sequence)

    def acknowledge(self, firm: Firm, sequences: Iterable[int], now: int) -> int:
        """Take an operator's word; return how many removals are new."""
        owed = self.owed(firm)
        new = [each for each in sequences if each in owed]
        for sequence in new:
            if owed[sequence] <= now:
                firm.noticed.add(sequence)
            firm.acknowledged[sequence] = now
            firm.overdue.pop(sequence, None)
        return len(new)

    def faults(self, firm: Firm, reflects: int, now: int) -> set[Fault]:
        """Return what is wrong with what an operator holds, as of position ``reflects``."""
        found: dict[tuple[int, str], tuple[int, Fault]] = {}
        for held in firm.holds:
            judged = self._judge(firm, held, reflects, now)
            if judged is not None:
                weight, fault = judged
                key = fault.kind, fault.record_id
                # Of one kind and record, that of the newest revision counts.
                if key not in found or found[key][0] < weight:
                    found[key] = judged
        return {fault for _, fault in found.values()}

    def missing(self, firm: Firm, now: int) -> set[str]:
        """Return the records of which an operator should hold a copy and does not."""
        lacking = self.entitled(firm, now) - firm.holds
        altered = {
            fault.record_id for fault in self.faults(firm, _LAST, now) if fault.kind in _ALTERED
        }
        return {copy.record_id for copy in lacking} - altered

    def attest(self, firm: Firm, reflects: int, now: int) -> tuple[int, bool]:
        """Keep what an attestation finds; return how many findings then stand, and whether it
        is certified."""
        faults = self.faults(firm, reflects, now)
        # What is only not held against it yet excuses itself, and nothing else.
        excused = self._excused(firm, reflects, now)
        new = {(each.kind, each.record_id): each for each in faults}
        still = {key: each for key, each in firm.standing.items() if each.event in excused - {0}}
        # What stands and is found again is the finding it was.
        kept = {key: firm.standing[key] for key in new.keys() & firm.standing.keys()}
        firm.standing = new | kept | still
        held = {each.record_id for each in faults}
        firm.overdue = {
            sequence: record_id
            for sequence, record_id in firm.overdue.items()
            if record_id in held or sequence in excused
        }
        self._believe(firm, now)
        for sequence in self.owed(firm):
            if sequence not in excused and self._record_of(sequence) not in held:
                firm.acknowledged[sequence] = now
        standing = len(firm.standing) + len(firm.overdue) + len(firm.false)
        # Nothing is certified of no copies.
        return standing, bool(firm.holds) and not (standing or excused or firm.lied)

    def _believe(self, firm: Firm, now: int) -> None:
        """Compare what is held with what was said to be missing."""
        live = {
            revision.sequence: revision.copy
            for revision in firm.served.values()
            if self.records[revision.copy.record_id].ended(revision) is None
            and now < revision.copy.disclosed_until
        }
        lacked = {sequence for sequence, copy in live.items() if copy not in firm.holds}
        missing = self.missing(firm, now)
        gone = {
            record_id
            for record_id, sequence in firm.false.items()
            if record_id in missing or sequence not in live
        }
        firm.lied = firm.lied or bool(gone)
        again = {each for each in firm.told_missing if each in live} - lacked
        firm.false = {key: each for key, each in firm.false.items() if key not in gone} | {
            live[each].record_id: each for each in again
        }
        told = {
            each
            for each in lacked
            if live[each].record_id in missing and firm.served_at[each] + UNDER_WAY <= now
        }
        firm.told_missing = told | (firm.told_missing & lacked) | again

    def _excused(self, firm: Firm, reflects: int, now: int) -> set[int]:
        """Return the events that copies held are only not held against it yet for, 0 for what ended
        by itself."""
        strictly = [(held, self._judge(firm, held, _LAST, now)) for held in firm.holds]
        return {
            judged[1].event
            for held, judged in strictly
            if judged is not None and self._judge(firm, held, reflects, now) is None
        }

    def _judge(self, firm: Firm, held: Held, reflects: int, now: int) -> tuple[int, Fault] | None:
        """Return what is wrong with a copy, and the revision that tells it; None if nothing."""
        record = self.records.get(held.record_id)
        revisions = [] if record is None else record.revisions
        served = [each for each in revisions if each.sequence in firm.served]
        as_served = [each for each in served if each.copy == held]
        as_disclosed = [each for each in revisions if each.copy == held]
        of_content = [each for each in served if each.copy.content == held.content]
        # Its content may have been served, and its period told by the stream.
        if record is not None and (as_served or (as_disclosed and of_content)):
            return _judge_served(record, as_disclosed, firm.acknowledged, reflects, now)
        if as_disclosed or not served:
            weight = as_disclosed[-1].sequence if as_disclosed else 0
            return weight, Fault(FindingKind.FINDING_KIND_NEVER_SERVED, held.record_id, 0)
        kind = (
            FindingKind.FINDING_KIND_PERIOD_ALTERED
            if of_content
            else FindingKind.FINDING_KIND_CONTENT_ALTERED
        )
        return (of_content or served)[-1].sequence, Fault(kind, held.record_id, 0)

    def _record_of(self, sequence: int) -> str:
        (record_id,) = {
            record.record_id
            for record in self.records.values()
            for event in record.events
            if event.sequence == sequence
        }
        return record_id


def _judge_served(
    record: Record, alike: list[Revision], gone: Collection[int], reflects: int, now: int
) -> tuple[int, Fault] | None:
    """Judge a copy that an operator was served, by the revisions ``alike``: a record may have been
    corrected back to what it was, so that the newest counts. For the events ``gone`` it has said
    that none is held."""
    newest = alike[-1]
    event = record.ended(newest)
    if event is None or newest.copy.disclosed_until <= event.at:
        if now < newest.copy.disclosed_until:
            return None
        kind, sequence = FindingKind.FINDING_KIND_EXPIRED_HELD, 0
    else:
        deadline = event.at + HOURS_TO_REMOVE[newest.severity] * HOUR
        if event.sequence > reflects and event.sequence not in gone and now < deadline:
            return None
        kind, sequence = _HELD[event.kind], event.sequence
    return newest.sequence, Fault(kind, record.record_id, sequence)


def records_of(faults: Collection[Fault]) -> set[tuple[int, str]]:
    """Return kinds and records of faults."""
    return {(each.kind, each.record_id) for each in faults}
