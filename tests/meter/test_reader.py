"""The reader: listings from the real ledger show what was served, once."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

import pytest
from sqlalchemy import Engine

from gateway.disclose.model import Line
from gateway.meter.ledger import UsageLedger
from gateway.meter.model import Charged, LineCount, UsageClaim, pack_entries, unpack_entries
from gateway.meter.reader import SqlUsageReader
from gateway.settle.usage import MeteredAnswer, MeteredEntry, MeteredLine
from tests.clock import StandingClock
from tests.meter.world import DAY, NOW, Disclosure, admitted, claim, with_lines
from tests.receipts import RECEIPTS
from tests.stores import engines_of

MARCH = NOW - 31 * DAY
KINDS = [
    (item, source, region)
    for item in ("item.a", "item.b")
    for source in ("s", "t")
    for region in ("110000", "440000")
]


@dataclass
class History:
    """A ledger that served at random, and all it served, in memory."""

    engine: Engine
    random: Random
    claims: list[UsageClaim] = field(default_factory=list)

    def __post_init__(self) -> None:
        records = [
            admitted(f"rec-{i}", i, item=item, source=source, region=region)
            for i, (item, source, region) in enumerate(KINDS * 4)
        ]
        disclosure = Disclosure(self.engine)
        self.records = dict(zip(disclosure.publish(*records), records, strict=True))
        self.line_no = {line: number for number, line in disclosure.store.lines().items()}
        self.head = disclosure.store.head()
        self.ledger = UsageLedger(with_lines(self.engine), StandingClock(), RECEIPTS)

    def serve(self, answers: int) -> None:
        """Serve answers of up to six records, in groups, at prices that change by the week."""
        made = [self._claim(len(self.claims) + i) for i in range(answers)]
        for start in range(0, answers, 50):
            outcomes = self.ledger.commit(made[start : start + 50])
            assert all(isinstance(outcome, Charged) for outcome in outcomes)
        self.claims += made

    def _claim(self, number: int) -> UsageClaim:
        served_at = MARCH + self.random.randrange(31 * DAY)
        entries = self.random.sample(sorted(self.records), self.random.randrange(7))
        week = served_at // (7 * DAY)
        counts = Counter(self.kind_of(entry) for entry in entries)
        return claim(
            f"r-{number // 3}",
            chunk=number % 3,
            operator_id=self.random.choice(["alpha", "alpha", "beta"]),
            served_at=served_at,
            entries=pack_entries(entries),
            lines=tuple(
                LineCount(self.line_no[Line(*kind)], count, self.price(kind, week))
                for kind, count in counts.items()
            ),
            disclosure_sequence=self.head,
        )

    def kind_of(self, sequence: int) -> tuple[str, str, str]:
        """Return item, source and region of a revision."""
        record = self.records[sequence]
        return record.item, record.source, record.region

    @staticmethod
    def price(kind: tuple[str, str, str], week: int) -> int:
        """Return a price that depends on item and week and divides badly."""
        return 333_333 + week % 3 if kind[0] == "item.a" else 7 * (week % 2)

    def answer(self, sequence: int, made: UsageClaim) -> MeteredAnswer:
        """Return a claim as the reader has to show it."""
        week = made.served_at // (7 * DAY)
        lines = {number: kind for kind, number in self.line_no.items()}
        return MeteredAnswer(
            sequence=sequence,
            usage_index=sum(
                each.operator_id == made.operator_id for each in self.claims[: sequence - 1]
            ),
            operator_id=made.operator_id,
            client_id=made.client_id,
            request_id=made.request_id,
            chunk=made.chunk,
            purpose=made.purpose,
            licence=made.licence,
            consent=made.consent,
            decision_id=made.decision_id,
            served_at=made.served_at,
            lines=tuple(
                MeteredLine(*lines[number], count, price) for number, count, price in made.lines
            ),
            entries=tuple(
                MeteredEntry(
                    self.records[entry].record_id,
                    1,
                    *self.kind_of(entry),
                    self.price(self.kind_of(entry), week),
                    made.licence,
                )
                for entry in unpack_entries(made.entries)
            ),
        )


def month_of(engine: Engine) -> History:
    """Return a month of use."""
    history = History(engine, Random(7))
    history.serve(150)
    return history


@pytest.fixture(scope="module", params=["sqlite_stores", "postgres_stores"])
def month(request: pytest.FixtureRequest) -> Iterator[History]:
    """A month of use for all the tests that only read it, on each kind of store."""
    with request.getfixturevalue(request.param).database() as store, engines_of(*store) as engines:
        yield month_of(engines.records)


@pytest.mark.parametrize("least_entries", [1, 7, 100, 10_000])
@pytest.mark.parametrize(
    ("from_", "until", "request_id"),
    [
        (None, None, ""),
        (NOW - 20 * DAY, NOW - 10 * DAY, ""),
        (None, NOW - 25 * DAY, ""),
        (NOW - 5 * DAY, None, ""),
        (None, None, "r-12"),
    ],
)
def test_pages_together_show_every_answer_once(
    month: History, least_entries: int, from_: int | None, until: int | None, request_id: str
) -> None:
    wanted = [
        month.answer(sequence, made)
        for sequence, made in enumerate(month.claims, 1)
        if made.operator_id == "alpha"
        and made.entries
        and (from_ is None or made.served_at >= from_)
        and (until is None or made.served_at < until)
        and request_id in {"", made.request_id}
    ]
    assert wanted
    reader = SqlUsageReader(month.engine)
    seen: list[MeteredAnswer] = []
    more = True
    while more:
        page = reader.answers(
            "alpha",
            from_=from_,
            until=until,
            request_id=request_id,
            after=seen[-1].sequence if seen else 0,
            least_entries=least_entries,
        )
        entries = [len(answer.entries) for answer in page.answers]
        assert sum(entries[:-1]) < least_entries
        assert sum(entries) >= least_entries or not page.more
        seen += page.answers
        more = page.more
    assert seen == wanted


def test_entry_shows_the_revision_that_was_served(records_engine: Engine) -> None:
    disclosure = Disclosure(records_engine)
    (first,) = disclosure.publish(admitted("a"))
    ledger = UsageLedger(with_lines(records_engine), StandingClock(), RECEIPTS)
    ledger.commit([claim("r-1", [first], disclosure_sequence=first)])
    second = disclosure.correct(admitted("a", content=b"{}", source="t"))
    ledger.commit([claim("r-2", [second], disclosure_sequence=second, lines=(LineCount(2, 1, 9),))])
    disclosure.repair("a", 2)
    answers = _everything(SqlUsageReader(records_engine))
    assert [answer.entries for answer in answers] == [
        (MeteredEntry("a", 1, "penalty.general", "s", "110000", 7, "L-1"),),
        (MeteredEntry("a", 2, "penalty.general", "t", "110000", 9, "L-1"),),
    ]


def test_answer_of_thousands_of_records_comes_whole(records_engine: Engine) -> None:
    sequences = Disclosure(records_engine).publish(*(admitted(f"rec-{i}", i) for i in range(1_800)))
    ledger = UsageLedger(with_lines(records_engine), StandingClock(), RECEIPTS)
    ledger.commit([claim("r-1", sequences[::-1], disclosure_sequence=sequences[-1])])
    (answer,) = _everything(SqlUsageReader(records_engine))
    assert [entry.record_id for entry in answer.entries] == [
        f"rec-{i}" for i in reversed(range(1_800))
    ]


def _everything(reader: SqlUsageReader) -> tuple[MeteredAnswer, ...]:
    return reader.answers(
        "alpha", from_=None, until=None, request_id="", after=0, least_entries=10
    ).answers
