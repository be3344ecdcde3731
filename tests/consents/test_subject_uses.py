"""Whatever was served and however much of it is indexed: what is found equals a naive count."""

from dataclasses import dataclass, field
from random import Random

import pytest
from sqlalchemy import Engine

from consent.model import Consent
from consent.sql import SqlConsents
from gateway.consents.accesses import Access, Accesses, Period, Place
from gateway.consents.subject_uses import SubjectUses, next_answers
from gateway.disclose.model import Line
from gateway.meter.ledger import UsageLedger
from gateway.meter.model import Charged, LineCount, pack_entries
from gateway.settle.usage import usage_name
from tests import consenting
from tests.clock import NOW, StandingClock
from tests.examples import rarely_on_postgresql, seeds
from tests.meter.world import Disclosure, admitted, claim, company
from tests.receipts import RECEIPTS

OPEN, CLOSED = "item.open", "item.closed"
OPERATORS = ("alpha", "beta")
SUBJECTS = 4
STEP = 40


@dataclass(frozen=True)
class Served:
    """One use as a naive reader would note it."""

    subject: str
    operator_id: str
    consent: str
    at: int
    place: Place
    record_id: str


@dataclass
class Ledger:
    """A ledger that serves at random, and all it served, in memory."""

    engine: Engine
    random: Random
    served: list[Served] = field(default_factory=list[Served])
    answers: int = 0

    def __post_init__(self) -> None:
        self.clock = StandingClock()
        self.consents = SqlConsents(self.engine)
        self.ledger = UsageLedger(self.engine, self.clock, RECEIPTS)
        self.uses = SubjectUses(self.engine)
        self.accesses = Accesses(self.engine, self.consents, lambda: OPERATORS, self.clock)
        disclosure = Disclosure(self.engine)
        records = [
            admitted(f"{item}-{number}-{of}", number, item=item)
            for number in range(SUBJECTS)
            for item in (OPEN, CLOSED)
            for of in range(2)
        ]
        self.records = dict(zip(disclosure.publish(*records), records, strict=True))
        self.line_no = {line: number for number, line in disclosure.store.lines().items()}
        self.given = {
            (operator_id, number): consenting.given(
                self.consents,
                company(number),
                consenting.terms([CLOSED]),
                operator_id=operator_id,
            )
            for operator_id in OPERATORS
            for number in range(SUBJECTS)
        }

    def serve(self) -> None:
        """Answer one request: for one subject or several, under a consent or under none."""
        random, self.answers = self.random, self.answers + 1
        self.clock.at += random.randrange(STEP)
        operator_id, number = random.choice(OPERATORS), random.randrange(SUBJECTS)
        consent = self.given[operator_id, number] if random.random() < 0.5 else None
        allowed = [
            sequence
            for sequence, record in self.records.items()
            # An item that was opened to all meanwhile comes along with a consent of another.
            if record.item == OPEN or consent
        ]
        entries = random.sample(allowed, random.randrange(5))
        outcome = self.charge(operator_id, consent, entries)
        assert isinstance(outcome, Charged)
        nothing_found = consent is not None
        for place, sequence in enumerate(entries):
            record = self.records[sequence]
            own = consent and record.item == CLOSED and record.subject == consent.subject
            under = consent.name if consent and own else ""
            nothing_found = nothing_found and not under
            self.served.append(
                Served(
                    record.subject,
                    operator_id,
                    under,
                    self.clock.at,
                    Place(self.answers, place),
                    record.record_id,
                )
            )
        if consent and nothing_found:
            # That it was asked for is a use of the consent too.
            place = Place(self.answers, len(entries))
            self.served.append(
                Served(consent.subject, operator_id, consent.name, self.clock.at, place, "")
            )

    def charge(self, operator_id: str, consent: Consent | None, entries: list[int]) -> object:
        lines = [
            self.line_no[Line(record.item, record.source, record.region)]
            for record in map(self.records.__getitem__, entries)
        ]
        made = claim(
            f"r-{self.answers}",
            operator_id=operator_id,
            relies_on=consent,
            served_at=self.clock.at,
            entries=pack_entries(entries),
            lines=tuple(LineCount(each, lines.count(each), 7) for each in sorted(set(lines))),
            disclosure_sequence=len(self.records),
        )
        return self.ledger.commit([made])[0]

    def found(
        self, subject: str, page: int, operator_id: str = "", consent: str = "", **more: Period
    ) -> list[Access]:
        """Return all pages."""
        found: list[Access] = []
        before: Place | None = None
        while True:
            answer = self.accesses.of_subject(
                subject,
                operator_id=operator_id,
                consent=consent,
                before=before,
                limit=page,
                **more,
            )
            assert len(answer.accesses) <= page
            found += answer.accesses
            before = answer.before
            if before is None:
                return found


@rarely_on_postgresql
@pytest.mark.parametrize("seed", seeds(3))
def test_what_is_found_equals_what_was_served(records_engine: Engine, seed: int) -> None:
    random = Random(seed)
    ledger = Ledger(records_engine, random)
    for _ in range(40):
        ledger.serve()
        if random.random() < 0.1:
            ledger.uses.index_more(random.choice(OPERATORS))
    complete = ledger.accesses.complete_until()
    for stage in ("behind", "indexed"):
        for number in range(SUBJECTS):
            subject = company(number)
            found = ledger.found(subject, random.choice([1, 3, 50]))
            assert [each.place for each in found] == sorted(
                {each.place for each in found}, reverse=True
            )
            places = {(each.place, each.record_id, each.consent) for each in found}
            whole = [each for each in ledger.served if each.subject == subject]
            served = {(each.place, each.record_id, each.consent) for each in whole}
            assert places <= served
            # Uses under a consent are there at once, others once they are indexed.
            owed = [
                each for each in whole if stage == "indexed" or each.consent or each.at < complete
            ]
            assert {(each.place, each.record_id, each.consent) for each in owed} <= places
            narrowed = random.choice(OPERATORS)
            assert ledger.found(subject, 2, narrowed) == [
                each for each in ledger.found(subject, 50) if each.operator_id == narrowed
            ]
            consent = ledger.given[narrowed, number]
            assert {each.place for each in ledger.found(subject, 2, consent=consent.name)} == {
                each.place for each in whole if each.consent == consent.name
            }
            period = Period(NOW + 5 * STEP, NOW + 15 * STEP)
            assert ledger.found(subject, 3, period=period) == [
                each
                for each in ledger.found(subject, 50)
                if NOW + 5 * STEP <= each.served_at < NOW + 15 * STEP
            ]
        for operator_id in OPERATORS:
            while ledger.uses.index_more(operator_id):
                pass
    assert ledger.accesses.complete_until() == ledger.clock.at - 60


def test_an_answer_is_indexed_by_everybody_whose_records_it_holds_however_many(
    records_engine: Engine,
) -> None:
    ledger = Ledger(records_engine, Random(1))
    few, many, nothing = [*ledger.records][:4], [*ledger.records] * 10, list[int]()
    for entries in (few, many, nothing):
        ledger.answers += 1
        assert isinstance(ledger.charge("alpha", None, entries), Charged)
    with records_engine.connect() as connection:
        answers = next_answers(connection, "alpha", 0)
        assert [list(each.entries) for each in answers] == [few, many, nothing]
        assert [each.sequence for each in next_answers(connection, "alpha", 1, 2)] == [2]


def test_an_index_taken_up_twice_holds_each_use_once(records_engine: Engine) -> None:
    ledger = Ledger(records_engine, Random(7))
    for _ in range(10):
        ledger.serve()
    for operator_id in OPERATORS:
        while ledger.uses.index_more(operator_id):
            pass
        assert not ledger.uses.index_more(operator_id)
    found = [access for number in range(SUBJECTS) for access in ledger.found(company(number), 50)]
    assert sorted(access.place for access in found) == sorted(each.place for each in ledger.served)
    assert any(not access.record_id for access in found)
    assert all(
        access.usage_name
        == (
            access.record_id
            and usage_name(access.operator_id, access.usage_index, access.place.number)
        )
        for access in found
    )


def test_a_consents_own_trace_is_the_oldest_first(records_engine: Engine) -> None:
    ledger = Ledger(records_engine, Random(3))
    for _ in range(60):
        ledger.serve()
    for consent in ledger.given.values():
        whole = [
            each.place for each in ledger.served if each.consent == consent.name and each.record_id
        ]
        found: list[Place] = []
        while some := ledger.accesses.under_consent(
            consent, period=Period(), after=found[-1] if found else Place(0, 0), limit=2
        ):
            found += (access.place for access in some)
        assert found == whole
        answers: list[int] = []
        while some := ledger.accesses.answers(
            consent, period=Period(), after=answers[-1] if answers else 0, limit=2
        ):
            answers += (answer.sequence for answer in some)
        assert answers == sorted(
            {each.place.sequence for each in ledger.served if each.consent == consent.name}
        )
