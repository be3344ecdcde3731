"""What regions may do, as a plain model says: pure, and written without the gateway's code.

Whoever watches from outside notes what was done and told, each with the time before it began and
after it ended (`Span`, seconds of the watcher's own steady clock), and reads both ledgers in the
end. `faults` names every promise that this breaks. What began and did not end before something
else is in doubt: then either may be true, and neither is a fault.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

WITHIN_SECONDS: Final = 1.0
"""Within a second what ends authority acts, where it is known (G4)."""
WHOLE: Final = frozenset({"ANSWERED", "EMPTY"})
ENDS: Final = WHOLE | {"REFUSED", "LATE", "UNREACHABLE", "UNVERIFIED"}
# Statuses of connections that broke and of parts that cannot know enough to answer, and what is
# true of a consent.
REFUSALS: Final = frozenset(
    {
        "BROKEN",
        "NO_TOKEN",
        "UNAVAILABLE",
        "CANCELLED",
        "DEADLINE_EXCEEDED",
        "UNKNOWN",
        "AUTHORITY_UNKNOWN",
        "FEDERATION_UNKNOWN",
        "TEMPORARILY_UNAVAILABLE",
        "CONSENT_REVOKED",
    }
)
"""Why a whole question may be refused while parts fail."""


class Span(NamedTuple):
    """When something began and had ended, seconds."""

    began: float
    ended: float


@dataclass
class Record:
    """A record as its source has it; ``ended`` is when it was withdrawn."""

    record_id: str
    region: str
    subject: str
    item: str
    content: bytes
    published: Span
    ended: Span | None = None

    def surely(self, during: Span) -> bool:
        """Tell whether it was disclosed all the time of ``during``."""
        until = float("inf") if self.ended is None else self.ended.began
        return self.published.ended <= during.began and during.ended <= until

    def possibly(self, during: Span) -> bool:
        """Tell whether it was disclosed at some time of ``during``."""
        until = float("inf") if self.ended is None else self.ended.ended
        return self.published.began <= during.ended and during.began <= until


@dataclass
class Consent:
    """What a subject allowed, and when it took that back; ``name`` as the asking region has it."""

    name: str
    subject: str
    given: Span
    revoked: Span | None = None


class Given(NamedTuple):
    """A record that was passed on, and the item of the asking region that it stands for."""

    record_id: str
    subject: str
    item: str
    content: bytes


@dataclass
class Answer:
    """What one call was told. ``ends`` are the closing statements by region, ``planned`` the
    regions it named first; ``waits`` says of those that told it for how many seconds it is of no
    use to ask again; ``refused`` is why the whole was refused, "" where it was answered."""

    request_id: str
    subjects: tuple[str, ...]
    item: str
    consent: str
    during: Span
    planned: frozenset[str] = frozenset()
    ends: dict[str, str] = field(default_factory=dict[str, str])
    waits: dict[str, int] = field(default_factory=dict[str, int])
    given: dict[str, list[Given]] = field(default_factory=dict[str, list[Given]])
    refused: str = ""


class Use(NamedTuple):
    """A row of a ledger: one chunk of a region's answer.

    ``request_id`` is what both ends meter it by; ``served_at`` is of the home region's clock.
    """

    region: str
    request_id: str
    chunk: int
    records: int
    fee: int
    served_at: int


class Kept(NamedTuple):
    """A row of the asking region's ledger, with the request of its operator, and how many of the
    records it was given."""

    request_id: str
    use: Use
    given: int


class Served(NamedTuple):
    """A row of a home region's ledger; ``consent_stood`` is whether its consent, if it relied on
    one, had not been taken back for longer than the lease."""

    use: Use
    consent_stood: bool = True


@dataclass
class History:
    """All that was done and told. ``price`` is of one record (micro-yuan), ``consented`` the item
    that needs a consent, ``homes`` the regions that every question goes to."""

    price: int
    consented: str
    homes: frozenset[str]
    records: dict[str, Record] = field(default_factory=dict[str, Record])
    consents: dict[str, Consent] = field(default_factory=dict[str, Consent])
    answers: list[Answer] = field(default_factory=list[Answer])

    def outcomes(self) -> Counter[str]:
        """Count how regions ended, and why whole questions were refused."""
        counted: Counter[str] = Counter()
        for answer in self.answers:
            counted.update([answer.refused] if answer.refused else answer.ends.values())
        return counted


def faults(history: History, kept: Sequence[Kept], served: Sequence[Served]) -> list[str]:
    """Return every promise that was broken, in words; none where all held."""
    found = [fault for answer in history.answers for fault in _of_answer(history, answer)]
    found += _of_ledgers(history, kept, served)
    return found


def _of_answer(history: History, answer: Answer) -> Iterator[str]:
    about = f"question {answer.request_id}"
    if answer.refused:
        if answer.refused not in REFUSALS:
            yield f"G11: {about} was refused as {answer.refused}"
    elif answer.planned != history.homes or answer.ends.keys() != history.homes:
        yield f"G10: {about} does not name every region"
    for region, end in answer.ends.items():
        if end not in ENDS:
            yield f"G10: {about}: {region} ended as {end}"
    for region, given in answer.given.items():
        for each in given:
            yield from _of_given(history, answer, region, each, about)
        if len({each.record_id for each in given}) != len(given):
            yield f"G5: {about}: a record of {region} came twice"
        if answer.ends.get(region) == "EMPTY" and given:
            yield f"G10: {about}: {region} is EMPTY and gave records"
    for region, end in answer.ends.items():
        if end in WHOLE:
            yield from _missing(history, answer, region, about)


def _of_given(
    history: History, answer: Answer, region: str, given: Given, about: str
) -> Iterator[str]:
    record = history.records.get(given.record_id)
    if record is None:
        yield f"G8: {about}: nobody published {given.record_id}"
        return
    if given.content != record.content:
        yield f"G1: {about}: {given.record_id} has other content than was published"
    if (region, given.subject) != (record.region, record.subject):
        yield f"G1: {about}: {given.record_id} is another region's or subject's"
    if given.item != record.item or given.item != answer.item:
        yield f"G3: {about}: {given.record_id} is of an item that was not asked for"
    if given.subject not in answer.subjects:
        yield f"G3: {about}: {given.record_id} is about somebody else"
    if not record.possibly(answer.during):
        yield f"G2, G9: {about}: {given.record_id} was not disclosed then"
    if record.item == history.consented:
        yield from _of_consent(history, answer, record, about)


def _of_consent(history: History, answer: Answer, record: Record, about: str) -> Iterator[str]:
    consent = history.consents.get(answer.consent)
    if consent is None or consent.subject != record.subject:
        yield f"G3: {about}: {record.record_id} came without a consent of its subject"
    elif answer.during.ended < consent.given.began:
        yield f"G3: {about}: {record.record_id} came before its consent"
    elif (
        consent.revoked is not None and consent.revoked.ended + WITHIN_SECONDS < answer.during.began
    ):
        yield f"G4: {about}: {record.record_id} came after its consent was taken back"


def _missing(history: History, answer: Answer, region: str, about: str) -> Iterator[str]:
    came = {each.record_id for each in answer.given.get(region, ())}
    for record in history.records.values():
        wanted = (record.region, record.item) == (region, answer.item)
        there = wanted and record.subject in answer.subjects and record.surely(answer.during)
        if there and record.record_id not in came:
            yield f"G10, G12: {about}: {region} is whole without {record.record_id}"


def _of_ledgers(history: History, kept: Sequence[Kept], served: Sequence[Served]) -> Iterator[str]:
    at_home = {_key(each.use): each.use for each in served}
    here = {_key(each.use): each.use for each in kept}
    if len(at_home) != len(served):
        yield "G5: a home region metered a chunk twice"
    if len(here) != len(kept):
        yield "G5: the asking region kept a chunk twice"
    for key, use in here.items():
        metered = at_home.get(key)
        # Whatever was lost, and ended before it was asked for again.
        if metered is None or use != metered:
            yield f"G5: {key} is kept as {use}, and metered at home as {metered}"
    for use in at_home.values():
        if use.fee != use.records * history.price:
            yield f"G6: {_key(use)} costs {use.fee} for {use.records} records"
    for each in served:
        if not each.consent_stood:
            yield f"G4: {_key(each.use)} was served longer than the lease after its revocation"
    yield from _unkept(history, kept)
    yield from _unanswered(history, kept, served)


def _unkept(history: History, kept: Sequence[Kept]) -> Iterator[str]:
    """What was passed on and is not kept: durable first, then passed on (G5, G12)."""
    counted: Counter[tuple[str, str]] = Counter()
    for each in kept:
        counted[each.request_id, each.use.region] += each.given
    for answer in history.answers:
        for region, given in answer.given.items():
            if counted[answer.request_id, region] < len(given):
                yield f"G5: {answer.request_id}: {region} gave more records than are kept"


def _unanswered(history: History, kept: Sequence[Kept], served: Sequence[Served]) -> Iterator[str]:
    """What only a home region has: allowed for questions that it never answered whole."""
    whole: set[tuple[str, str]] = set()
    asked: set[str] = set()
    for answer in history.answers:
        asked.add(answer.request_id)
        whole |= {
            (answer.request_id, region) for region, end in answer.ends.items() if end in WHOLE
        }
    open_: Mapping[str, int] = Counter(
        region
        for request_id in asked
        for region in history.homes
        if (request_id, region) not in whole
    )
    here = {_key(each.use) for each in kept}
    lone = {(each.use.region, each.use.request_id) for each in served if _key(each.use) not in here}
    for region, number in Counter(region for region, _ in lone).items():
        if number > open_.get(region, 0):
            yield f"G5: {region} metered answers to {number} questions that nobody has"


def _key(use: Use) -> tuple[str, str, int]:
    return use.region, use.request_id, use.chunk
