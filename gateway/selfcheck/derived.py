"""The check of what is kept beside the ledger so that serving need not count: it is counted
anew from the answers, and compared."""

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

from sqlalchemy import Column, Connection, Table, case, func, literal_column, select, tuple_

from consent.model import NAME_PREFIX, ONCE, Consent
from consent.queries import ConsentQueries
from consent.relied import is_limited
from consent.states import OPEN
from consent.tables import CONSENT, CONSENT_USE, FOLLOWED, SUBJECT_USE, SUBJECT_USES
from gateway.consents.subject_uses import Givers, next_answers, uses_of
from gateway.disclose.subjects import Subjects
from gateway.meter.licences import shares_of
from gateway.meter.model import ANSWER, REVERSAL, SECONDS_A_DAY
from gateway.meter.tables import LICENCE_USE, QUOTA, USAGE, USAGE_HEADS
from gateway.selfcheck.opened import check_opened
from gateway.storage.engines import Engines, snapshot
from gateway.storage.paging import pages
from gateway.transparency.faults import EnoughFaults, Fault, Faults

_PAIRS_A_QUERY: Final = 400
_DAY_BEGINS: Final = USAGE.c.served_at - USAGE.c.served_at % SECONDS_A_DAY
_IS_ANSWER: Final = USAGE.c.kind == ANSWER
_Rows = Mapping[tuple[Any, ...], tuple[Any, ...]]


def check_derived(engines: Engines) -> list[Fault]:
    """Check counters and indexes of the ledger; return what was wrong.

    Raises what the stores raise when they cannot be read.
    """
    faults = Faults()
    with snapshot(engines.records) as records, suppress(EnoughFaults):
        _compare(QUOTA, _quota(records), _kept(records, QUOTA), faults)
        _compare(LICENCE_USE, _by_licence(records), _kept(records, LICENCE_USE), faults)
        _compare(USAGE_HEADS, _heads(records), _kept(records, USAGE_HEADS), faults)
        _compare(CONSENT_USE, _consent_use(records), _kept(records, CONSENT_USE), faults)
        _check_index(records, faults)
        check_opened(records, ConsentQueries(engines.records), faults)
    return faults.found


def _compare(table: Table, expected: _Rows, kept: _Rows, faults: Faults) -> None:
    for key in sorted(expected.keys() | kept.keys()):
        shown = " ".join(map(str, key))
        faults.require(
            expected.get(key) == kept.get(key),
            f"{table.name}, {shown}",
            "it is not what the answers of the ledger come to",
        )


def _kept(records: Connection, table: Table) -> _Rows:
    keys = len(table.primary_key)
    others: list[Column[Any]] = [column for column in table.columns if not column.primary_key]
    rows = records.execute(select(*table.primary_key, *others))
    return {tuple(row[:keys]): tuple(row[keys:]) for row in rows}


def _quota(records: Connection) -> _Rows:
    counted = USAGE.c.entry_count + func.coalesce(USAGE.c.region_records, literal_column("0"))
    query = (
        select(USAGE.c.operator_id, _DAY_BEGINS, func.sum(counted))
        .where(_IS_ANSWER, counted > 0)
        .group_by(USAGE.c.operator_id, _DAY_BEGINS)
    )
    credit = USAGE.alias("credit")
    # What is credited was used on the day of its answer.
    credited = (
        select(USAGE.c.operator_id, _DAY_BEGINS, func.sum(credit.c.entry_count))
        .join_from(
            credit,
            USAGE,
            (USAGE.c.operator_id == credit.c.operator_id)
            & (USAGE.c.request_id == credit.c.request_id)
            & (USAGE.c.chunk == credit.c.chunk)
            & _IS_ANSWER,
        )
        .where(credit.c.kind == literal_column(str(int(REVERSAL))))
        .group_by(USAGE.c.operator_id, _DAY_BEGINS)
    )
    used: Counter[tuple[str, int]] = Counter()
    for sign, counts in ((1, query), (-1, credited)):
        for operator_id, begins, entries in records.execute(counts):
            used[operator_id, begins // SECONDS_A_DAY] += sign * int(entries)
    return {key: (count,) for key, count in used.items()}


def _by_licence(records: Connection) -> _Rows:
    """Return the records of each day by the licence that bears them, as far as answers tell it."""
    answer = USAGE.alias("answer")
    # What is credited was used on the day of its answer.
    rows = USAGE.join(
        answer,
        (answer.c.operator_id == USAGE.c.operator_id)
        & (answer.c.request_id == USAGE.c.request_id)
        & (answer.c.chunk == USAGE.c.chunk)
        & (answer.c.kind == ANSWER),
    )
    counted = USAGE.c.entry_count + func.coalesce(USAGE.c.region_records, literal_column("0"))
    begins = answer.c.served_at - answer.c.served_at % literal_column(str(SECONDS_A_DAY))
    group = USAGE.c.operator_id, USAGE.c.kind, USAGE.c.licence, begins
    alone = (
        select(*group, func.sum(counted))
        .select_from(rows)
        .where(USAGE.c.licences == "", counted > 0)
        .group_by(*group)
    )
    together = select(*group, USAGE.c.licences).select_from(rows).where(USAGE.c.licences != "")
    used: Counter[tuple[str, int, str]] = Counter()
    for operator_id, kind, licence, day, count in records.execute(alone):
        used[operator_id, day // SECONDS_A_DAY, licence] += (1 if kind == ANSWER else -1) * int(
            count
        )
    for operator_id, kind, _, day, licences in records.execute(together):
        for share in shares_of(licences):
            if share.records:
                sign = 1 if kind == ANSWER else -1
                used[operator_id, day // SECONDS_A_DAY, share.licence] += sign * sum(share.records)
    return {key: (count,) for key, count in used.items()}


def _heads(records: Connection) -> _Rows:
    query = select(USAGE.c.operator_id, func.max(USAGE.c.usage_index)).group_by(USAGE.c.operator_id)
    return {(operator_id,): (last + 1,) for operator_id, last in records.execute(query)}


def _consent_use(records: Connection) -> _Rows:
    held = func.coalesce(USAGE.c.opened_entries, USAGE.c.entry_count)
    with_records = case((held > 0, USAGE.c.served_at))
    query = (
        select(
            USAGE.c.consent,
            _DAY_BEGINS,
            func.count(),
            func.max(with_records),
            func.max(USAGE.c.served_at),
        )
        .where(USAGE.c.consent != "", _IS_ANSWER)
        .group_by(USAGE.c.consent, _DAY_BEGINS)
    )
    rows = records.execute(query).all()
    limited = _limited(records, {row[0].removeprefix(NAME_PREFIX) for row in rows})
    expected: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for name, begins, answered, last_at, answered_at in rows:
        consent = limited.get(name.removeprefix(NAME_PREFIX))
        if consent is not None:
            ends = consent.terms.access_mode == ONCE and consent.state in OPEN
            spent_at = answered_at if ends else None
            key = (consent.consent_id, begins // SECONDS_A_DAY)
            expected[key] = (answered, last_at, spent_at)
    return expected


def _limited(records: Connection, consent_ids: Iterable[str]) -> dict[str, Consent]:
    found: dict[str, Consent] = {}
    for some in pages(consent_ids):
        query = select(CONSENT.c.document).where(CONSENT.c.consent_id.in_(some))
        for document in records.execute(query).scalars():
            consent = Consent.model_validate_json(document)
            if is_limited(consent):
                found[consent.consent_id] = consent
    return found


def _check_index(records: Connection, faults: Faults) -> None:
    """Check whose records each answer holds, as far as the answers were indexed."""
    columns = FOLLOWED.c
    followed = records.execute(
        select(columns.name, columns.sequence)
        .where(columns.name.startswith(SUBJECT_USES, autoescape=True))
        .order_by(columns.name)
    ).all()
    wanted = 0
    subjects, givers = Subjects(), Givers()
    for name, until in followed:
        operator_id, after = name.removeprefix(SUBJECT_USES), 0
        while answers := next_answers(records, operator_id, after, until):
            uses = sorted(uses_of(records, answers, subjects, givers))
            wanted += len(uses)
            missing = len(uses) - _present(records, uses)
            faults.require(
                not missing,
                f"subject_uses, operator {operator_id}, answers {after + 1} to"
                f" {answers[-1].sequence}",
                f"{missing} uses are missing",
            )
            after = answers[-1].sequence
    kept = records.execute(select(func.count()).select_from(SUBJECT_USE)).scalar_one()
    faults.require(kept <= wanted, "subject_uses", "there are uses that no answer holds")


def _present(records: Connection, uses: list[tuple[str, int]]) -> int:
    key = tuple_(SUBJECT_USE.c.subject, SUBJECT_USE.c.usage_sequence)
    return sum(
        records.execute(
            select(func.count())
            .select_from(SUBJECT_USE)
            .where(key.in_(uses[start : start + _PAIRS_A_QUERY]))
        ).scalar_one()
        for start in range(0, len(uses), _PAIRS_A_QUERY)
    )
