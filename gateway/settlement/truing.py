"""What credit notes gave back of a month, put right when a month is closed. Pure.

A note gives back what a month costs too much as it stands then. A reversal may take the use off the
bill after that, later use carry the month to its cap or to another tier: then too much was given
back, or too little. So each closing brings what was given back of its month, of those it adjusts and of those
there are new notes about, to what is overcharged of them, by a note of its own, which may be below 0.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from creditgate.rating.settled import (
    LineKey,
    Settled,
    by_beneficiary,
    less,
    settled_so_far,
    share_messages,
)
from creditgate.v1.usage_service_pb2 import CreditNote, Statement
from gateway.settle.explain import yuan
from gateway.settle.month import Month
from gateway.settlement.credited import credited_lines
from gateway.settlement.right_lines import Overcharge, RightLines, together

_WHY: Final = (
    "{month} 的退款按现有用量与证据重新核算：按当时价格含多计项为 {before} 元，更正后为 {after} 元，应退 {due} 元，"
    "此前已退 {credited} 元：本行补退 {amount} 元（负数为收回）",
    "what is given back of {month} is reckoned anew by all that is used and proven: by the prices of"
    " the time it costs {before} yuan as charged, {after} yuan as it ought to be, so {due} yuan are to"
    " be given back, and {credited} yuan were: {amount} yuan here, taken back where it is below 0",
)


class AboutMonth(NamedTuple):
    """The credit notes about uses of a month, and what all they prove ought to count: None where
    one does not tell any more what it proved."""

    notes: Sequence[CreditNote]
    right: RightLines | None

    @property
    def ids(self) -> frozenset[str]:
        """The notes' ids."""
        return frozenset(note.credit_note_id for note in self.notes)


def by_month(
    noted: Iterable[tuple[CreditNote, Overcharge | None]], month_of: Mapping[int, Month]
) -> Mapping[Month, AboutMonth]:
    """Return notes, each with what it proves, by the month of the use they are about; ``month_of``
    has the months of places in the log. Notes about what is at no place are left out."""
    found: defaultdict[Month, list[tuple[CreditNote, Overcharge | None]]] = defaultdict(list)
    for note, proven in noted:
        place = place_of(note, proven)
        month = None if place is None else month_of.get(place)
        if month is not None:
            found[month].append((note, proven))
    return {month: _about(some) for month, some in found.items()}


def place_of(note: CreditNote, proven: Overcharge | None) -> int | None:
    """Return the place in the log of the use that a note is about, None where nothing tells."""
    if proven is not None:
        return proven.usage_index
    return note.uses[0].usage_index if note.uses else None


def _about(noted: Sequence[tuple[CreditNote, Overcharge | None]]) -> AboutMonth:
    proven = [each for _, each in noted if each is not None]
    whole = len(proven) == len(noted)
    return AboutMonth([note for note, _ in noted], together(proven) if whole else None)


def trued_up(month: str, statements: Iterable[Statement]) -> list[CreditNote]:
    """Return the notes of closed statements that put right what was given back of ``month``."""
    return [
        note
        for statement in statements
        for note in statement.credit_notes
        if note.trued_up_month == month
    ]


def left_to_give(charged: Statement, right: Statement, given: Iterable[CreditNote]) -> Settled:
    """Return what a month is ``charged`` beyond what is ``right``, less what notes have ``given``
    back; below 0 where they gave more."""
    month = charged.month
    pairs = zip(settled_so_far(month, [charged]), settled_so_far(month, [right]), strict=True)
    found = Settled(*(less(*pair) for pair in pairs))
    fees: Counter[LineKey] = Counter()
    shares: Counter[str] = Counter()
    for note in given:
        shares.update(by_beneficiary(note.shares))
        for use in note.uses:
            fees[LineKey(use.item, use.source, use.region)] += use.amount_micro_yuan
    return Settled(less(found.fees, fees), found.entries, less(found.shares, shares))


def true_up(
    booked_in: str, charged: Statement, right: Statement, given: Sequence[CreditNote]
) -> CreditNote | None:
    """Return the note by which closing ``booked_in`` puts right what was ``given`` back of a month,
    as `left_to_give` has it; None where that is right."""
    if right.total_micro_yuan >= charged.total_micro_yuan:
        # Fewer records may cost more, as where volume is cheaper: no month costs more than is charged
        # by what is proven of it.
        right = charged
    left = left_to_give(charged, right, given)
    if not (left.fees or left.shares):
        return None
    told = {
        "month": charged.month,
        "before": yuan(charged.total_micro_yuan),
        "after": yuan(right.total_micro_yuan),
        "due": yuan(charged.total_micro_yuan - right.total_micro_yuan),
        "credited": yuan(sum(each.amount_micro_yuan for each in given)),
    }
    named = "\n".join(("trued up", charged.operator_id, booked_in, charged.month))
    return CreditNote(
        credit_note_id=sha256(named.encode()).hexdigest()[:32],
        operator_id=charged.operator_id,
        month=booked_in,
        amount_micro_yuan=left.total,
        uses=credited_lines(left.fees, _WHY, told),
        shares=share_messages(left.shares),
        rule_ids=charged.rule_ids,
        plan_ids=charged.plan_ids,
        trued_up_month=charged.month,
    )
