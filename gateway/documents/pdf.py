"""Statements for people: a PDF with charts, the same bytes each time."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from reportlab.lib.units import mm
from reportlab.platypus import Flowable, KeepTogether, Spacer

from gateway.documents.charts import Bar, bar_chart, largest
from gateway.documents.extract import Extract, statement_digest
from gateway.documents.rows import REGIONS, SOURCES, StatementRow
from gateway.documents.words import Language, said
from gateway.printing.file import pdf
from gateway.printing.style import (
    QUIET,
    RECORD,
    SECTION,
    SUBTITLE,
    TITLE,
    code,
    columns,
    pairs,
    text,
)
from gateway.settle.explain import yuan
from gateway.settle.month import utc_text

MOST_ROWS: Final = 300
"""Rows of one table: a longer one is for machines."""
_MOST_DIGESTS: Final = 50


def pdf_of(extract: Extract, language: Language, now: int) -> bytes:
    """Return the PDF of an extract; ``now`` is told of what may still change alone."""
    return _Printed(extract, language, now).pdf()


class _Printed:
    def __init__(self, extract: Extract, language: Language, now: int) -> None:
        self._extract = extract
        self._language: Language = language
        self._now = now

    def pdf(self) -> bytes:
        wanted = self._extract.wanted
        title = f"{self._said('title')} {wanted.operator_id} {self._period()}"
        return pdf(
            [
                *self._summary(),
                *self._charts(),
                *self._fees(),
                *self._shares(),
                *self._changes(),
                *self._checking(),
            ],
            title=title,
            author=self._extract.issuer,
            subject=self._extract.file_stem,
            language="zh-CN" if self._language == "zh" else "en",
            foot=title,
            numbered=self._said("numbered"),
        )

    def _said(self, word: str, **numbers: str | int) -> str:
        return said(word, self._language, **numbers)

    def _period(self) -> str:
        wanted = self._extract.wanted
        if wanted.month == wanted.last_month:
            return wanted.month
        return self._said("months", first=wanted.month, last=wanted.last_month)

    def _summary(self) -> Iterator[Flowable]:
        extract, wanted = self._extract, self._extract.wanted
        yield text(self._said("title"), TITLE)
        yield text(self._said("subtitle"), SUBTITLE)
        yield text(self._said("summary"), SECTION)
        as_of = extract.as_of
        statements = extract.statements
        told = [
            ("operator", wanted.operator_id or self._said("all")),
            ("period", self._period()),
            ("source", wanted.source),
            ("region", wanted.region),
            ("state", self._said(extract.state)),
            ("as_of", utc_text(self._now)) if as_of is None else ("closed_at", utc_text(as_of)),
            ("issuer", extract.issuer),
            ("owed", yuan(extract.owed)),
            ("received", yuan(extract.received)),
        ]
        if wanted.whole:
            told += [
                ("records", str(sum(each.total_entries for each in statements))),
                ("list_price", yuan(sum(each.list_micro_yuan for each in statements))),
            ]
        told += [
            ("plans", "  ".join(extract.ids("plan_ids"))),
            ("rules", "  ".join(extract.ids("rule_ids"))),
        ]
        yield pairs([(self._said(name), text(value)) for name, value in told if value])

    def _charts(self) -> Iterator[Flowable]:
        yield text(self._said("charts"), SECTION)
        extract = self._extract
        other = self._said("other")
        items = {
            name or self._said("no_use"): amount for name, amount in extract.owed_by("item").items()
        }
        beneficiaries: Counter[str] = Counter()
        for name, amount in extract.received_by("beneficiary").items():
            beneficiaries[self._beneficiary(name)] += amount
        charts = [
            ("by_item", largest(items, other)),
            ("by_beneficiary", largest(beneficiaries, other)),
        ]
        if extract.wanted.month != extract.wanted.last_month:
            months = [Bar(*each) for each in extract.owed_by("month").items()]
            charts.insert(0, ("by_month", months))
        charts = [(name, bars) for name, bars in charts if bars]
        for name, bars in charts:
            chart: list[Flowable] = [text(self._said(name), RECORD), bar_chart(bars)]
            yield KeepTogether([*chart, Spacer(1, 3 * mm)])
        if not charts:
            yield text(self._said("none"))

    def _fees(self) -> Iterator[Flowable]:
        yield text(self._said("fees"), SECTION)
        rows = [row for row in self._extract.rows if row.side == "OWED" and row.kind == "FEE"]
        yield from self._table(("month", "item", "source_region", "why", "yuan"), rows)

    def _shares(self) -> Iterator[Flowable]:
        yield text(self._said("shares"), SECTION)
        rows = [
            row
            for row in self._extract.rows
            if row.side == "RECEIVED" and row.kind in {"FEE", "POOL"}
        ]
        yield from self._table(("month", "item", "beneficiary", "why", "yuan"), rows)

    def _changes(self) -> Iterator[Flowable]:
        yield text(self._said("changes"), SECTION)
        rows = [row for row in self._extract.rows if row.kind in {"ADJUSTMENT", "CREDIT_NOTE"}]
        yield from self._table(("month", "about", "beneficiary", "why", "yuan"), rows)

    def _table(self, head: Sequence[str], rows: Sequence[StatementRow]) -> Iterator[Flowable]:
        if not rows:
            yield text(self._said("none"))
            return
        # The largest are kept, in the order of the statement.
        order = sorted(range(len(rows)), key=lambda place: -abs(rows[place].amount_micro_yuan))
        kept = [rows[place] for place in sorted(order[:MOST_ROWS])]
        yield columns(
            [self._said(name) for name in head],
            [[self._cell(name, row) for name in head] for row in kept],
            (0.11, 0.2, 0.2, 0.34, 0.15),
            numbers={len(head) - 1},
        )
        left = [rows[place] for place in order[MOST_ROWS:]]
        if left:
            amount = sum(row.amount_micro_yuan for row in left)
            yield text(self._said("more", count=len(left), yuan=yuan(amount)), QUIET)

    def _cell(self, name: str, row: StatementRow) -> str:
        if name == "month":
            return row.month
        if name == "item":
            return row.item or self._said("no_use")
        if name == "source_region":
            return self._said("comma").join(filter(None, (row.source, row.region)))
        if name == "about":
            return self._said(row.kind, about=row.about)
        if name == "beneficiary":
            named = row.beneficiary
            return self._beneficiary(named) if named else f"{row.operator_id} {row.item}".strip()
        if name == "yuan":
            return yuan(row.amount_micro_yuan)
        return row.explanation_zh if self._language == "zh" else row.explanation_en

    def _beneficiary(self, name: str) -> str:
        if name == "platform":
            return self._said("platform")
        return name.removeprefix(SOURCES).removeprefix(REGIONS)

    def _checking(self) -> Iterator[Flowable]:
        yield text(self._said("checking"), SECTION)
        digests = [
            (f"{each.operator_id} {each.month}", code(statement_digest(each)))
            for each in self._extract.statements[:_MOST_DIGESTS]
        ]
        if digests:
            yield text(self._said("digest"), QUIET)
            yield pairs(digests)
        stem = self._extract.file_stem
        yield Spacer(1, 2 * mm)
        yield text(self._said("check"), QUIET)
        yield code(f'creditgate statements verify {stem}.jws --key "$VKEY"')
        yield text(self._said("trace"), QUIET)
        month = self._extract.wanted.month
        yield code(f"creditgate statements uses {month} --item ... --source ...")
        yield text(self._said("authority"), QUIET)
