"""A statement as rows: every amount that is owed, and every amount that somebody receives. Pure.

Both sides of a statement sum to what is due. Money in micro-yuan.
"""

from collections.abc import Iterable, Iterator
from typing import Final, Literal, NamedTuple

from creditgate.signed_document import PURPOSES
from creditgate.v1 import usage_service_pb2 as pb
from gateway.documents.note_reasons import share_reason
from gateway.settle.month import utc_text
from gateway.settle.shares import peer_of

Side = Literal["OWED", "RECEIVED"]
Kind = Literal["FEE", "POOL", "ADJUSTMENT", "CREDIT_NOTE"]
OPEN: Final = "OPEN"
CLOSED: Final = "CLOSED"
SOURCES: Final = "sources/"
REGIONS: Final = "regions/"
_POOLS: Final = "pools/"


class StatementRow(NamedTuple):
    """An amount of one operator's month; what does not apply is "" (numbers: 0).

    ``side`` tells whether the operator owes it or ``beneficiary`` receives it, ``kind`` why;
    ``about`` the month adjusted, or the credit note. ``rests_on`` is the price plan or sharing
    rule; several are separated by blanks. ``quantity`` counts records, or subjects.
    """

    operator_id: str
    month: str
    state: str
    side: Side
    kind: Kind
    about: str
    rests_on: str
    component: str
    item: str
    source: str
    region: str
    purpose: str
    part_from: str
    beneficiary: str
    quantity: int
    amount_micro_yuan: int
    explanation_zh: str
    explanation_en: str


_NOTHING: Final = StatementRow(
    operator_id="",
    month="",
    state=OPEN,
    side="OWED",
    kind="FEE",
    about="",
    rests_on="",
    component="",
    item="",
    source="",
    region="",
    purpose="",
    part_from="",
    beneficiary="",
    quantity=0,
    amount_micro_yuan=0,
    explanation_zh="",
    explanation_en="",
)


def state_of(statement: pb.Statement) -> str:
    """Return whether a statement's month is closed."""
    return CLOSED if statement.HasField("close_time") else OPEN


def rows_of(statement: pb.Statement) -> Iterator[StatementRow]:
    """Yield all rows of a statement, in its order."""
    empty = _NOTHING._replace(
        operator_id=statement.operator_id, month=statement.month, state=state_of(statement)
    )
    yield from _fees(statement, empty)
    yield from _shares(statement, empty._replace(side="RECEIVED"))
    for adjustment in statement.adjustments:
        yield from _adjusted(adjustment, empty._replace(kind="ADJUSTMENT"))
    for note in statement.credit_notes:
        yield from _credited(note, empty._replace(kind="CREDIT_NOTE"))


def narrowed(rows: Iterable[StatementRow], source: str, region: str) -> Iterator[StatementRow]:
    """Yield the rows of a source or a region alone ("" for any): what is owed for its records,
    and what it receives itself.

    With both, rows that are not told by both, such as parts of pools, are left out.
    """
    beneficiaries = {
        *((SOURCES + source,) if source else ()),
        *((REGIONS + region,) if region else ()),
    }
    for row in rows:
        if row.side == "RECEIVED" and beneficiaries and row.beneficiary not in beneficiaries:
            continue
        if row.source == (source or row.source) and row.region == (region or row.region):
            yield row


def _fees(statement: pb.Statement, row: StatementRow) -> Iterator[StatementRow]:
    for detail in statement.details:
        charge = statement.charges[detail.charge]
        yield row._replace(
            rests_on=charge.plan_id,
            component=charge.component_id,
            item=detail.item,
            source=detail.source,
            region=detail.region,
            purpose=PURPOSES.get(detail.purpose, ""),
            part_from=utc_text(detail.part_from.seconds),
            quantity=detail.quantity,
            amount_micro_yuan=detail.fee_micro_yuan,
            explanation_zh=f"{detail.explanation_zh}（{charge.explanation_zh}）",
            explanation_en=f"{detail.explanation_en} ({charge.explanation_en})",
        )


def _shares(statement: pb.Statement, row: StatementRow) -> Iterator[StatementRow]:
    for shared in statement.sharing:
        for share in shared.shares:
            # What is pooled is received by the sources that it is divided among.
            if not share.beneficiary.startswith(_POOLS):
                yield row._replace(
                    rests_on=shared.rule_id,
                    item=shared.item,
                    source=shared.source,
                    region=shared.region,
                    beneficiary=share.beneficiary,
                    amount_micro_yuan=share.amount_micro_yuan,
                    explanation_zh=shared.explanation_zh,
                    explanation_en=shared.explanation_en,
                )
    for pool in statement.pools:
        for share, zh, en in zip(
            pool.shares, pool.share_explanations_zh, pool.share_explanations_en, strict=True
        ):
            yield row._replace(
                kind="POOL",
                rests_on=pool.rule_id,
                source=share.beneficiary.removeprefix(SOURCES),
                beneficiary=share.beneficiary,
                amount_micro_yuan=share.amount_micro_yuan,
                explanation_zh=f"{zh}（{pool.explanation_zh}）",
                explanation_en=f"{en} ({pool.explanation_en})",
            )


def _adjusted(adjustment: pb.StatementAdjustment, row: StatementRow) -> Iterator[StatementRow]:
    row = row._replace(
        about=adjustment.month,
        explanation_zh=adjustment.explanation_zh,
        explanation_en=adjustment.explanation_en,
    )
    for line in adjustment.lines:
        yield row._replace(
            rests_on=" ".join(adjustment.plan_ids),
            item=line.item,
            source=line.source,
            region=line.region,
            quantity=line.entries,
            amount_micro_yuan=line.fee_micro_yuan,
        )
    yield from _received(adjustment.shares, row._replace(rests_on=" ".join(adjustment.rule_ids)), 1)


def _credited(note: pb.CreditNote, row: StatementRow) -> Iterator[StatementRow]:
    row = row._replace(about=note.credit_note_id)
    for use in note.uses:
        yield row._replace(
            rests_on=" ".join(note.plan_ids),
            item=use.item,
            source=use.source,
            region=use.region,
            amount_micro_yuan=-use.amount_micro_yuan,
            explanation_zh=use.explanation_zh,
            explanation_en=use.explanation_en,
        )
    row = row._replace(rests_on=" ".join(note.rule_ids))
    for share in note.shares:
        zh, en = share_reason(note, share.amount_micro_yuan)
        yield from _received([share], row._replace(explanation_zh=zh, explanation_en=en), -1)


def _received(
    shares: Iterable[pb.RevenueShare], row: StatementRow, sign: int
) -> Iterator[StatementRow]:
    """Yield shares that are not told by item: a source's or district's own is told of it."""
    for share in shares:
        name = share.beneficiary
        is_district = name.startswith(REGIONS) and not peer_of(name)
        yield row._replace(
            side="RECEIVED",
            source=name.removeprefix(SOURCES) if name.startswith(SOURCES) else "",
            region=name.removeprefix(REGIONS) if is_district else "",
            beneficiary=name,
            amount_micro_yuan=sign * share.amount_micro_yuan,
        )
