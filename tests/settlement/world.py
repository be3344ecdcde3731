"""A ledger of plain facts on a real store, and what closes its months."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from sqlalchemy import Connection, insert, select

from creditgate.rating.prices import PRICE_PLAN, PricePlan
from creditgate.v1.settlement_service_pb2 import Settlement
from creditgate.v1.usage_service_pb2 import Statement
from gateway.disclose.tables import LINES, REVISIONS
from gateway.federation.asking.tables import REGION_USES
from gateway.federation.clearing.debts import SqlClearedDebts
from gateway.meter.model import (
    ANSWER,
    REVERSAL,
    LineCount,
    UsageRow,
    lines_of,
    lines_text,
    pack_entries,
)
from gateway.meter.tables import USAGE, USAGE_HEADS
from gateway.settle.month import month_named
from gateway.settle.shares import SHARING_RULE, SharingRule
from gateway.settlement.closing import Closer
from gateway.settlement.credit_store import SqlCreditNotes
from gateway.settlement.journal_store import SqlJournal
from gateway.settlement.month_use import LedgerMonths
from gateway.settlement.settling import Settler
from gateway.settlement.store import SqlClosings
from gateway.storage.engines import Engines
from operators.log import Draft
from operators.model import OPERATOR
from operators.sql import SqlAuthorityLog
from tests.meter.world import company
from tests.settle.month import Served
from tests.settle.world import APRIL, MARCH, FoldingFeed, operator

JANUARY = 1_767_225_600
"""2026-01-01T00:00:00Z."""
FEBRUARY = MARCH - 28 * 86_400
PLAN = PricePlan(plan_id="plan", effective_from=0, prices={"": 10_001})
RULE = SharingRule(
    rule_id="rule",
    effective_from=0,
    source_basis_points=6_000,
    region_basis_points=2_500,
    platform_basis_points=1_000,
    operator_basis_points=500,
)


@dataclass
class Ledger:
    """Writes answers of facts, and reversals, as the usage ledger has them.

    Records and lines are numbered from ``first`` on.
    """

    engines: Engines
    operator_id: str = "alpha"
    revision_of: dict[tuple[str, str, str, str], int] = field(default_factory=dict)
    line_of: dict[tuple[str, str, str], int] = field(default_factory=dict)
    rows: list[UsageRow] = field(default_factory=list)
    first: int = 1
    elsewhere: dict[int, list[Served]] = field(default_factory=dict)
    """Facts of answers of other regions, by place in the log."""

    def serve(self, facts: Sequence[Served], *, elsewhere: Collection[int] | None = None) -> None:
        """Write the facts' answers, in order of their number; facts alike are one record.

        Answers of numbers in ``elsewhere`` have records of another region.
        """
        with self.engines.records.begin() as connection:
            in_order = sorted(facts, key=lambda fact: fact.answer)
            for number, group in groupby(in_order, key=lambda fact: fact.answer):
                away = number in (elsewhere or ())
                self._answer(connection, f"r-{number}", list(group), elsewhere=away)

    def forget(self) -> None:
        """Begin anew, with the same records."""
        self.rows.clear()
        self.elsewhere.clear()
        with self.engines.records.begin() as connection:
            connection.execute(USAGE.delete())
            connection.execute(REGION_USES.delete())

    def reverse(self, place: int, records: int) -> None:
        """Credit the last ``records`` of the answer at a place of the log."""
        answer = self.rows[place]
        away = self.elsewhere.get(place)
        entries = b"" if away else answer.entries[-8 * records :]
        lines = Counter[int]()
        prices = {line.line_no: line.unit_price for line in _lines(answer)}
        for fact in (away or [])[-records:]:
            lines[self.line_of[fact.item, fact.source, fact.region]] += 1
        for revision in memoryview(entries).cast("q"):
            lines[self._line_of_revision(revision)] += 1
        counts = tuple(LineCount(no, count, prices[no]) for no, count in lines.items())
        with self.engines.records.begin() as connection:
            self._write(
                connection,
                answer._replace(
                    served_at=answer.served_at + 60,
                    entry_count=0 if away else records,
                    fee=sum(line.records * line.unit_price for line in counts),
                    lines=lines_text(counts),
                    entries=entries,
                    kind=REVERSAL,
                    usage_index=len(self.rows),
                    records_digest=b"",
                    reversed_index=place,
                ),
            )

    def _answer(
        self, connection: Connection, request_id: str, facts: Sequence[Served], *, elsewhere: bool
    ) -> None:
        if elsewhere:
            revisions: list[int] = []
            self.elsewhere[len(self.rows)] = list(facts)
            self._keep(connection, request_id, facts)
        else:
            # A record is in an answer once.
            facts = list({self._revision(connection, fact): fact for fact in facts}.values())
            revisions = [self._revision(connection, fact) for fact in facts]
        lines: Counter[tuple[int, int]] = Counter(
            (self._line(connection, fact), fact.unit_price) for fact in facts
        )
        counts = tuple(LineCount(no, count, price) for (no, price), count in lines.items())
        row = UsageRow(
            self.operator_id,
            f"{self.operator_id}-client",
            request_id,
            0,
            b"payload",
            "L-1",
            "",
            facts[0].purpose,
            f"d-{request_id}",
            facts[0].at,
            0,
            len(revisions),
            sum(fact.unit_price for fact in facts),
            lines_text(counts),
            pack_entries(revisions),
            ANSWER,
            len(self.rows),
            b"digest",
            None,
        )
        self._write(connection, row)

    def _keep(self, connection: Connection, request_id: str, facts: Sequence[Served]) -> None:
        """Write the records that another region gave for a request."""
        for number, fact in enumerate(facts):
            self._line(connection, fact)
            connection.execute(
                insert(REGION_USES).values(
                    operator_id=self.operator_id,
                    request_id=f"own-{request_id}",
                    region="https://north.invalid",
                    record_id=f"away-{number:03}",
                    revision=1,
                    first_subject=0,
                    region_request_id=request_id,
                    subject=company(ord(fact.subject)),
                    item=f"their-{fact.item}",
                    own_item=fact.item,
                    source=fact.source,
                    region_code=fact.region,
                    served_at=fact.at,
                    fee=1,
                    own_fee=fact.unit_price,
                )
            )

    def _write(self, connection: Connection, row: UsageRow) -> None:
        self.rows.append(row)
        connection.execute(insert(USAGE).values(**row._asdict()))
        head = select(USAGE_HEADS).where(USAGE_HEADS.c.operator_id == self.operator_id)
        if connection.execute(head).first() is None:
            connection.execute(
                insert(USAGE_HEADS).values(operator_id=self.operator_id, next_index=0)
            )
        connection.execute(
            USAGE_HEADS.update()
            .where(USAGE_HEADS.c.operator_id == self.operator_id)
            .values(next_index=len(self.rows))
        )

    def _line(self, connection: Connection, fact: Served) -> int:
        key = fact.item, fact.source, fact.region
        if key not in self.line_of:
            self.line_of[key] = len(self.line_of) + self.first
            names = {"item": fact.item, "source": fact.source, "region": fact.region}
            connection.execute(insert(LINES).values(line_no=self.line_of[key], **names))
        return self.line_of[key]

    def _revision(self, connection: Connection, fact: Served) -> int:
        key = fact.subject, fact.item, fact.source, fact.region
        if key not in self.revision_of:
            number = self.revision_of[key] = 3 * len(self.revision_of) + self.first
            connection.execute(
                insert(REVISIONS).values(
                    sequence=number,
                    record_id=f"rec-{number}",
                    revision=1,
                    subject=company(ord(fact.subject)),
                    line_no=self._line(connection, fact),
                    disclosed_from=0,
                    disclosed_until=10**11,
                    ended_by=0,
                    frame=b"",
                )
            )
        return self.revision_of[key]

    def _line_of_revision(self, revision: int) -> int:
        (key,) = (key for key, number in self.revision_of.items() if number == revision)
        return self.line_of[key[1:]]


def _lines(row: UsageRow) -> Sequence[LineCount]:
    return lines_of(row.lines)


class Months:
    """What closes months of one installation's stores."""

    def __init__(self, engines: Engines) -> None:
        self.engines = engines
        self.log = SqlAuthorityLog(engines.authority)
        self.feed = FoldingFeed(self.log)
        self.months = LedgerMonths(engines.records)
        self.closings = SqlClosings(engines.evidence)
        self.closer = Closer(self.months, self.closings, SqlCreditNotes(engines.evidence), self.log)
        self.settler = Settler(
            self.months, self.closings, self.closer, SqlClearedDebts(engines.evidence)
        )
        self.journal = SqlJournal(engines.evidence)

    async def start(self) -> None:
        """Register two operators in January, with prices and shares from then on."""
        self._append(
            JANUARY,
            *(Draft(OPERATOR, name, 0, operator(name).as_document()) for name in ("alpha", "beta")),
        )
        self.put(JANUARY, PLAN, RULE)
        await self.feed.refresh()

    def put(self, at: int, *things: PricePlan | SharingRule) -> None:
        """Put plans and rules into the authority log at an instant."""
        kinds = {PricePlan: PRICE_PLAN, SharingRule: SHARING_RULE}
        drafts = (
            Draft(kinds[type(each)], each.id, 0, each.model_dump(mode="json")) for each in things
        )
        self._append(at, *drafts)

    def close(self, month: str, request_id: str = "r", now: int = APRIL) -> Settlement:
        """Close a month as an administrator does."""
        named = month_named(month)
        assert named is not None
        return self.settler.settle(named, self.feed.current(), "admin", request_id, now)

    def statement(self, month: str, operator_id: str = "alpha") -> Statement:
        """Return a statement as it stands, or was closed."""
        named = month_named(month)
        assert named is not None
        return self.closer.present(operator_id, named, self.feed.current())

    def balances(self) -> Counter[str]:
        """Return what all entries of the journal come to, by account: debits less credits."""
        found: Counter[str] = Counter()
        for entry in self.journal.entries("", "", "", after=0, limit=1_000):
            debits = sum(posting.debit_micro_yuan for posting in entry.postings)
            assert debits == sum(posting.credit_micro_yuan for posting in entry.postings)
            for each in entry.postings:
                found[each.account] += each.debit_micro_yuan - each.credit_micro_yuan
        return found

    def _append(self, at: int, *drafts: Draft) -> None:
        self.log.append(drafts, changed_by="admin", changed_at=at, reason="test")
