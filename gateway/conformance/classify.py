"""How a copy that should not be held differs from the disclosure. Pure.

Sources: Opinions on improving the social credit system (2025-03-31), article 8 (same content,
same period), article 13 (removal at once on repair); for copies under a consent its data life.
The first that applies tells the kind:

1. the copy is of a revision as it was served: what first ended the newest revision with the same
   copy, an event (a correction, repair or withdrawal) or its period, or else the consent's data life;
2. it is of a revision as it was disclosed, whose content was served whole with another period, as
   the stream of events tells who corrects its copy by it: as 1, once its period has begun;
3. it is of a revision as it was disclosed, but never served so, or of a record of which
   nothing was served: obtained elsewhere;
4. it has the content of a revision that was served: another period;
5. other content.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from creditgate.transparency.facts import Copy, copy_digest
from creditgate.v1.conformance_service_pb2 import FindingKind
from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from creditgate.v1.vocabulary_pb2 import Severity
from gateway.conformance.model import Difference
from gateway.conformance.outage import Outage, put_off_by
from gateway.conformance.revisions import Ending, Revision

_ENDED: Final[Mapping[int, FindingKind.ValueType]] = {
    DisclosureEventKind.DISCLOSURE_EVENT_KIND_CORRECTED: FindingKind.FINDING_KIND_CORRECTED_HELD,
    DisclosureEventKind.DISCLOSURE_EVENT_KIND_REPAIRED: FindingKind.FINDING_KIND_REPAIRED_HELD,
    DisclosureEventKind.DISCLOSURE_EVENT_KIND_WITHDRAWN: FindingKind.FINDING_KIND_WITHDRAWN_HELD,
}
_EXPIRED: Final = FindingKind.FINDING_KIND_EXPIRED_HELD
_LIFE_OVER: Final = FindingKind.FINDING_KIND_CONSENT_LIFE_OVER
_NEVER_SERVED: Final = FindingKind.FINDING_KIND_NEVER_SERVED
_PERIOD: Final = FindingKind.FINDING_KIND_PERIOD_ALTERED
_CONTENT: Final = FindingKind.FINDING_KIND_CONTENT_ALTERED


class Removal(NamedTuple):
    """The removal that an operator owes for an event: by its ``deadline``, and ``removed_at`` since
    when the copy is gone by its word, None without one (seconds, UTC)."""

    deadline: int
    removed_at: int | None


class Grace(NamedTuple):
    """What is not held against an operator yet: an end of disclosure it may not have read of,
    after position ``after``, until the deadline of its removal, at ``now`` (seconds, UTC); but
    never one whose removal it has acknowledged, unless the copies were read before they were gone,
    and where they were gone in time, after the deadline too.
    Deadlines are those of ``removals``, by event; where that has none, ``removal_seconds`` of the
    severity after the event, put off by ``outages``.

    ``read_at`` is when the copies were read, None where that is now: nothing is held against it
    that ended later by itself, nor within ``file_age`` seconds what an event ended later."""

    after: int
    removal_seconds: Callable[[int], int]
    now: int
    removals: Mapping[int, Removal] = MappingProxyType({})
    read_at: int | None = None
    file_age: int = 0
    outages: Sequence[Outage] = ()

    def covers(self, ending: Ending, severity: int) -> bool:
        """Tell whether a copy may still be held after what ended it."""
        if ending.event_sequence <= self.after:
            return False
        if self.read_before(ending.at) and self.now - self.file_age < ending.at:
            return True
        removal = self.removals.get(ending.event_sequence)
        if removal is None:
            deadline = ending.at + self.removal_seconds(severity)
            return self.now < put_off_by(self.outages, ending.at, deadline)
        if removal.removed_at is None:
            return self.now < removal.deadline
        # What is said to be gone since the copies were read contradicts nothing; and gone in time, it
        # was held rightly when they were read, whenever that is told.
        return removal.removed_at < removal.deadline and self.read_before(removal.removed_at)

    def read_before(self, end: int) -> bool:
        """Tell whether the copies were read before what ended at ``end`` (seconds, UTC)."""
        return self.read_at is not None and self.read_at < end


class AsServed(NamedTuple):
    """A copy as it was served to an operator: of a revision, its content as a consent cut it
    if one did. It may be kept until ``keep_until`` (seconds, UTC), None where no consent
    says; ``gone_at`` is since when it is gone by the operator's word on that consent, None without
    one, and ``otherwise_until`` until when it could be kept but for that word."""

    revision: Revision
    content_digest: bytes
    keep_until: int | None = None
    gone_at: int | None = None
    otherwise_until: int = 0

    @property
    def copy(self) -> Copy:
        """The copy."""
        return self.revision.copy._replace(content_digest=self.content_digest)


class Known(NamedTuple):
    """What is known of a record: its ``revisions``, by age, and ``served``, what an operator
    was served of it, by age. ``unread`` tells that it was served under a consent, and this
    version cannot read which fields of it."""

    revisions: list[Revision]
    served: list[AsServed]
    unread: bool


class Judgement(NamedTuple):
    """What is to be said of a copy held: the difference, None where there is none, and
    whether it is only not held against the operator yet, with the event that made it void, 0 where
    it ended by itself. ``right`` is the revision, by its sequence,
    that it is right of without having been served so; 0 for all others."""

    difference: Difference | None
    excused: bool = False
    right: int = 0
    event_sequence: int = 0

    def if_right(self, revision: int) -> "Judgement":
        """Return it as of a copy that was not served as ``revision``, where it is right."""
        is_right = self.difference is None and not self.excused
        return self._replace(right=revision) if is_right else self


def judge_served(served: AsServed, grace: Grace) -> Judgement:
    """Judge a copy that is held as it was served."""
    revision = served.revision
    ending = revision.ending
    if ending is not None and ending.at < revision.copy.disclosed_until:
        if grace.covers(ending, revision.severity):
            return Judgement(None, excused=True, event_sequence=ending.event_sequence)
        kind = _ENDED[ending.kind]
        return _found(kind, revision, served.copy, ending.event_sequence)
    if revision.copy.disclosed_until <= grace.now:
        if grace.read_before(revision.copy.disclosed_until):
            return Judgement(None, excused=True)
        return _found(_EXPIRED, revision, served.copy)
    if served.keep_until is not None and served.keep_until <= grace.now:
        # A word is not worse than none: what was read before it is judged as without it.
        unsaid = served.gone_at is not None and grace.read_before(served.gone_at)
        until = served.otherwise_until if unsaid else served.keep_until
        if grace.now < until or grace.read_before(until):
            return Judgement(None, excused=True)
        return _found(_LIFE_OVER, revision, served.copy)
    return Judgement(None)


def judge_shown(copy: Copy, known: Known, grace: Grace) -> Judgement:
    """Judge a copy that an operator shows, by what is ``known`` of its record."""
    # A record corrected back to what it was has several that are alike: one right is enough.
    alike = [judge_served(each, grace) for each in known.served if each.copy == copy]
    if alike:
        return next((each for each in reversed(alike) if each.difference is None), alike[-1])
    if known.unread:
        return Judgement(None)
    disclosed = [each for each in known.revisions if each.copy == copy]
    whole = any(_is_whole(each, copy) for each in known.served)
    if disclosed and whole and copy.disclosed_from <= grace.now:
        judged = judge_served(AsServed(disclosed[-1], copy.content_digest), grace)
        return judged.if_right(disclosed[-1].sequence)
    if not known.served or (disclosed and not whole):
        of = disclosed or known.revisions
        return _never_served(copy, of[-1] if of else None, is_copy=bool(disclosed))
    of_content = [each for each in known.served if each.content_digest == copy.content_digest]
    if of_content:
        return _found(_PERIOD, of_content[-1].revision, copy)
    return _found(_CONTENT, known.served[-1].revision, copy)


def _is_whole(served: AsServed, copy: Copy) -> bool:
    """Tell whether the content of a copy was served whole, in whatever period."""
    return served.keep_until is None and served.content_digest == copy.content_digest


def _found(kind: int, revision: Revision, copy: Copy, event_sequence: int = 0) -> Judgement:
    return Judgement(
        Difference(
            kind,
            revision.copy.record_id,
            revision.severity,
            copy.content_digest,
            event_sequence,
            revision.sequence,
            copy_digest(copy),
        )
    )


def _never_served(copy: Copy, revision: Revision | None, *, is_copy: bool) -> Judgement:
    severity = Severity.SEVERITY_UNSPECIFIED if revision is None else revision.severity
    sequence = revision.sequence if revision is not None and is_copy else 0
    return Judgement(
        Difference(
            _NEVER_SERVED,
            copy.record_id,
            severity,
            copy.content_digest,
            0,
            sequence,
            copy_digest(copy),
        )
    )
