"""The journal: what is booked of statements, adjustments and credit notes, by double entry. Pure.

The operator's account is debited what it owes, the beneficiaries' are credited their shares;
what is negative is booked on the other side. What clearing with other regions comes to beyond the
shares is theirs and the platform's. Every entry balances (guarantee G6).
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from creditgate.rating.settled import by_beneficiary
from creditgate.v1.settlement_service_pb2 import JournalEntryKind, Settlement
from creditgate.v1.usage_service_pb2 import CreditNote, RevenueShare, Statement
from gateway.settlement.cleared import beyond_set_aside


class Posting(NamedTuple):
    """One side of an entry: ``debit`` or ``credit`` in micro-yuan, the other is 0."""

    account: str
    debit: int
    credit: int


class Entry(NamedTuple):
    """One entry, not numbered yet: ``about`` is the month adjusted or the credit note's id.

    ``operator_id`` is empty where it is of none.
    """

    kind: JournalEntryKind.ValueType
    operator_id: str
    month: str
    about: str
    postings: tuple[Posting, ...]


def closing_entries(statement: Statement) -> Iterator[Entry]:
    """Yield what closing a month books; credit notes on evidence were booked when they were
    created."""
    operator_id, month = statement.operator_id, statement.month
    total, shares = statement.total_micro_yuan, statement.shares
    kind = JournalEntryKind.JOURNAL_ENTRY_KIND_STATEMENT
    yield Entry(kind, operator_id, month, "", _balanced(operator_id, total, shares))
    kind = JournalEntryKind.JOURNAL_ENTRY_KIND_ADJUSTMENT
    for each in statement.adjustments:
        booked = _balanced(operator_id, each.amount_micro_yuan, each.shares)
        yield Entry(kind, operator_id, month, each.month, booked)
    for note in statement.credit_notes:
        if note.trued_up_month:
            yield credit_entry(note)


def credit_entry(note: CreditNote) -> Entry:
    """Return what a credit note books: what was shared is taken back."""
    booked = _balanced(note.operator_id, note.amount_micro_yuan, note.shares)
    return Entry(
        JournalEntryKind.JOURNAL_ENTRY_KIND_CREDIT_NOTE,
        note.operator_id,
        note.month,
        note.credit_note_id,
        tuple(Posting(each.account, each.credit, each.debit) for each in booked),
    )


def settlement_entry(settlement: Settlement) -> Entry:
    """Return what settling a month books: what clearings came to beyond what was set aside."""
    sides = beyond_set_aside(settlement.clearings)
    return Entry(
        JournalEntryKind.JOURNAL_ENTRY_KIND_CLEARING,
        "",
        settlement.month,
        "",
        tuple(
            Posting(account, max(-side, 0), max(side, 0))
            for account, side in sorted(sides.items())
            if side
        ),
    )


def _balanced(operator_id: str, amount: int, shares: Iterable[RevenueShare]) -> tuple[Posting, ...]:
    """Return the postings of an amount owed and its shares; nothing is booked of nothing.

    Raises ValueError where the shares are not the amount.
    """
    owing = f"operators/{operator_id}"
    # What is given back has an account of its own: an account stands once in an entry.
    parts = {
        f"{name}/rebates" if name == owing else name: part
        for name, part in by_beneficiary(shares).items()
    }
    if sum(parts.values()) != amount:
        raise ValueError("shares must sum to what is shared")
    sides = {owing: amount, **{name: -part for name, part in sorted(parts.items())}}
    return tuple(
        Posting(account, max(side, 0), max(-side, 0)) for account, side in sides.items() if side
    )
