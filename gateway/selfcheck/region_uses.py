"""The check of uses of other regions: what is kept of each is what its region's receipt says,
and what the ledger charges for it."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from creditgate.federated_query import region_request_id
from creditgate.transparency.strict import strictly
from creditgate.transparency.usage import CountedBy, detail_of, lines_by
from creditgate.v1.usage_log_pb2 import UsageLeaf, UsageReceipt
from gateway.disclose.model import Line
from gateway.disclose.tables import LINES
from gateway.federation.asking.tables import REGION_ANSWERS, REGION_USES
from gateway.federation.asking.uses import NOT_PASSED_ON
from gateway.meter.model import ANSWER, lines_of, lines_text
from gateway.meter.tables import USAGE
from gateway.storage.engines import Engines, snapshot
from gateway.transparency.faults import EnoughFaults, Fault, Faults

_NO_LINES: Final = lines_text(())
_Answer = Row[*tuple[Any, ...]]


def check_region_uses(engines: Engines) -> list[Fault]:
    """Check what is kept of uses of other regions; return what was wrong.

    Raises what the stores raise when they cannot be read, and what damaged rows make raise.
    """
    faults = Faults()
    with snapshot(engines.records) as records, suppress(EnoughFaults):
        charged = _charged(records)
        kept: set[tuple[str, str, int]] = set()
        for answer in records.execute(select(REGION_ANSWERS)).all():
            shown = f"{answer.region}, {answer.region_request_id}, {answer.first_subject}"
            uses = records.execute(_uses_of(answer)).all()
            faults.require(
                _agrees(answer, uses),
                f"region_answers, {shown}",
                "it is not what its receipt and its records say",
            )
            key = (answer.operator_id, answer.region_request_id, answer.first_subject)
            kept.add(key)
            question = records.execute(_question_of(answer)).first()
            faults.require(
                question is not None and question.decision_id == answer.decision_id,
                f"region_answers, {shown}",
                "it is of no question in the ledger",
            )
            given = [use for use in uses if use.subject != NOT_PASSED_ON]
            counts = Counter(Line(use.own_item, use.source, use.region_code) for use in given)
            faults.require(
                key not in charged or _is_of(charged[key], counts, answer),
                f"region_answers, {shown}",
                "the ledger charges something else for it",
            )
        for key in charged.keys() - kept:
            faults.require(
                False,
                f"usage_answers, {' '.join(map(str, key))}",
                "it charges records of another region of which nothing is kept",
            )
        for key in _miscounted(records):
            faults.require(
                False,
                f"usage_answers, {' '.join(map(str, key))}",
                "it counts other records against the quota than it charges",
            )
        orphans = records.execute(
            select(REGION_USES.c.record_id).where(
                ~REGION_USES.c.region_request_id.in_(select(REGION_ANSWERS.c.region_request_id))
            )
        ).all()
        for (record_id,) in orphans:
            faults.require(False, f"region_uses, {record_id}", "there is no answer it came in")
    return faults.found


def _is_of(charged: tuple[Counter[Line], str, str], given: Counter[Line], answer: _Answer) -> bool:
    """Tell whether the ledger charges what was given: of a chunk that was kept and not charged at
    once, a retry may have charged less."""
    counts, *whose = charged
    return counts <= given and whose == [answer.client_id, answer.licence]


def _uses_of(answer: _Answer) -> Any:
    return select(REGION_USES).where(
        REGION_USES.c.operator_id == answer.operator_id,
        REGION_USES.c.request_id == answer.request_id,
        REGION_USES.c.region == answer.region,
        REGION_USES.c.first_subject == answer.first_subject,
    )


def _question_of(answer: _Answer) -> Any:
    return select(USAGE.c.decision_id).where(
        USAGE.c.operator_id == answer.operator_id,
        USAGE.c.request_id == answer.request_id,
        USAGE.c.chunk == 0,
        USAGE.c.kind == ANSWER,
        USAGE.c.consent == answer.consent,
    )


def _agrees(answer: _Answer, uses: Sequence[_Answer]) -> bool:
    """Tell whether an answer and its records say what the region's receipt does; of what was
    not passed on, that nobody is charged for it here. What a consent opened of an older answer is
    not known."""
    receipt = strictly(UsageReceipt, bytes(answer.receipt))
    leaf = strictly(UsageLeaf, receipt.leaf)
    detail = detail_of(leaf, receipt.detail)
    counts = Counter(CountedBy(use.item, use.source, use.region_code) for use in uses)
    prices = {} if detail is None else {CountedBy.of(line): line for line in detail.lines}
    return (
        leaf.fee_micro_yuan == answer.region_fee
        and leaf.serve_seconds == answer.served_at
        and leaf.decision_id == answer.region_decision
        and leaf.purpose == answer.purpose
        and answer.region_request_id
        == region_request_id(answer.operator_id, answer.request_id, answer.region)
        and sum(use.subject != NOT_PASSED_ON for use in uses) == answer.records
        and answer.opened in {None, sum(bool(use.opened) for use in uses)}
        and not (answer.opened and not answer.consent)
        and all(use.own_fee == 0 for use in uses if use.subject == NOT_PASSED_ON)
        and sum(use.own_fee for use in uses) == answer.own_fee
        and detail is not None
        and counts == lines_by(detail.lines)
        and all(
            use.fee
            == prices[CountedBy(use.item, use.source, use.region_code)].unit_price_micro_yuan
            and use.served_at == answer.served_at
            and use.region_request_id == answer.region_request_id
            for use in uses
        )
    )


def _charged(
    records: Connection,
) -> dict[tuple[str, str, int], tuple[Counter[Line], str, str]]:
    """Return what the ledger charges of other regions' records: such answers have no entries."""
    names = {row.line_no: Line(*row[1:]) for row in records.execute(select(LINES))}
    query = select(
        USAGE.c.operator_id,
        USAGE.c.request_id,
        USAGE.c.chunk,
        USAGE.c.lines,
        USAGE.c.client_id,
        USAGE.c.licence,
    ).where(USAGE.c.entry_count == 0, USAGE.c.lines != _NO_LINES, USAGE.c.kind == ANSWER)
    return {
        (operator_id, request_id, chunk): (
            Counter({names[line.line_no]: line.records for line in lines_of(lines)}),
            client_id,
            licence,
        )
        for operator_id, request_id, chunk, lines, client_id, licence in records.execute(query)
    }


def _miscounted(records: Connection) -> list[tuple[str, str, int]]:
    """Return the answers that count other records of other regions than they charge; those of
    earlier versions counted none."""
    row = USAGE.c
    query = select(row.operator_id, row.request_id, row.chunk, row.lines, row.region_records).where(
        row.kind == ANSWER,
        row.region_records.is_not(None),
        (row.region_records != 0) | ((row.entry_count == 0) & (row.lines != _NO_LINES)),
    )
    return [
        (operator_id, request_id, chunk)
        for operator_id, request_id, chunk, lines, counted in records.execute(query)
        if counted != sum(line.records for line in lines_of(lines))
    ]
