"""Closed months worked out again on the installation, from its own ledger and authority log."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from creditgate.v1.settlement_service_pb2 import JournalEntry, JournalEntryKind
from gateway.federation.clearing.debts import SqlClearedDebts
from gateway.settle.month import month_before, month_named
from gateway.settlement.cleared import ClearedDebts, ClearedThrough, through_of
from gateway.settlement.closing import Closer
from gateway.settlement.credit_store import SqlCreditNotes
from gateway.settlement.documents import document_bytes
from gateway.settlement.journal import (
    Entry,
    Posting,
    closing_entries,
    credit_entry,
    settlement_entry,
)
from gateway.settlement.journal_store import SqlJournal
from gateway.settlement.month_use import LedgerMonths
from gateway.settlement.settling import settlement_of
from gateway.settlement.store import ClosedMonth, SqlClosings
from gateway.storage.engines import Engines
from operators.sql import SqlAuthorityLog

_ENTRIES_AT_ONCE: Final = 1_000
# What an entry is about: its kind, the operator, and the month adjusted or the credit note.
_About = tuple[int, str, str]


class MonthChecked(NamedTuple):
    """How many operators' months were worked out again, and those that came out otherwise.

    ``faults`` tell in words what else of the month is not what was closed: its settlement, the
    list of closings, the journal.
    """

    operators: int
    differing: tuple[str, ...]
    faults: tuple[str, ...]


def check_month(engines: Engines, month: str) -> MonthChecked:
    """Work out every closed statement of a month again, and what was booked of it. Blocks.

    Raises what the stores raise, LookupError where the ledger names what is not there, and
    Refused where no sharing rule is known for some use.
    """
    closings = SqlClosings(engines.evidence)
    closer = Closer(
        LedgerMonths(engines.records),
        closings,
        SqlCreditNotes(engines.evidence),
        SqlAuthorityLog(engines.authority),
    )
    closed = closings.of_month(month)
    differing = tuple(
        each.operator_id for each in closed if closer.worked_out_again(each) != each.document
    )
    faults = (
        *_of_settlement(closings, SqlClearedDebts(engines.evidence), month, closed),
        *_of_closings(closings, month, closed),
        *_of_journal(closings, SqlJournal(engines.evidence), month, closed),
    )
    return MonthChecked(len(closed), differing, faults)


def _of_settlement(
    closings: SqlClosings, debts: ClearedDebts, month: str, closed: Sequence[ClosedMonth]
) -> Iterator[str]:
    settled = closings.settled(month)
    if settled is None:
        if closings.last_settled() > month:
            yield "its settlement is missing: later months are settled"
        return
    there = {each.operator_id for each in closed}
    for named in settled.settlement.closings:
        if named.operator_id not in there:
            yield f"the closing of {named.operator_id} is missing that its settlement names"
    before = _counted_before(closings, month)
    cleared = {
        each.region: ClearedThrough(
            each.through_time.seconds,
            debts.owed_between(each.region, before.get(each.region, 0), each.through_time.seconds),
        )
        for each in settled.settlement.clearings
    }
    again = settlement_of(month, closed, before, cleared)
    again.close_time.seconds = settled.closed_at
    if document_bytes(again) != settled.document:
        yield "its settlement is not that of its closings"


def _counted_before(closings: SqlClosings, month: str) -> Mapping[str, int]:
    """Return up to when the settlement before a month's counted clearings, by region."""
    named = month_named(month)
    before = None if named is None else month_before(named)
    settled = None if before is None else closings.settled(before.name)
    return through_of(None if settled is None else settled.settlement)


def _of_closings(closings: SqlClosings, month: str, closed: Sequence[ClosedMonth]) -> Iterator[str]:
    """Yield whose closing tells other numbers beside the statement than it has."""
    for each in closed:
        (listed,) = closings.closings(each.operator_id, month, ("", ""), 1)
        if listed != each.closing(each.statement):
            yield f"the closing of {each.operator_id} is listed with other numbers"


def _of_journal(
    closings: SqlClosings, journal: SqlJournal, month: str, closed: Sequence[ClosedMonth]
) -> Iterator[str]:
    booked = list(_booked(journal, month))
    expected: dict[_About, tuple[int, Mapping[str, Posting]]] = {}
    for each in closed:
        expected |= _expected(closing_entries(each.statement), each.closed_at)
    operators = {each.operator_id for each in (*closed, *booked)}
    for operator_id in sorted(operators):
        for note in closings.notes(operator_id, month):
            expected |= _expected([credit_entry(note)], note.create_time.seconds)
    settled = closings.settled(month)
    if settled is not None:
        expected |= _expected([settlement_entry(settled.settlement)], settled.closed_at)
    for entry in booked:
        about = entry.kind, entry.operator_id, entry.about
        postings = {
            each.account: Posting(each.account, each.debit_micro_yuan, each.credit_micro_yuan)
            for each in entry.postings
        }
        if expected.pop(about, None) != (entry.book_time.seconds, postings):
            yield f"entry {entry.entry} of the journal, {_named(about)}, is not what it is about"
    for about in sorted(expected):
        yield f"the journal has no entry of {_named(about)}"


def _booked(journal: SqlJournal, month: str) -> Iterator[JournalEntry]:
    after = 0
    while page := journal.entries(month, "", "", after=after, limit=_ENTRIES_AT_ONCE):
        yield from page
        after = page[-1].entry


def _expected(entries: Iterable[Entry], at: int) -> dict[_About, tuple[int, Mapping[str, Posting]]]:
    return {
        (entry.kind, entry.operator_id, entry.about): (
            at,
            {posting.account: posting for posting in entry.postings},
        )
        for entry in entries
        if entry.postings
    }


def _named(about: _About) -> str:
    kind, operator_id, what = about
    name = JournalEntryKind.Name(JournalEntryKind.ValueType(kind))
    words = name.removeprefix("JOURNAL_ENTRY_KIND_").replace("_", " ").lower()
    return " ".join(part for part in (words, what, "of", operator_id) if part)
