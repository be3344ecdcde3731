"""A statement held against what its fees follow from: the usage log, plans, earlier statements. Pure.

What it is held against was verified before: leaves by a checkpoint of the log, other statements
by their signatures. Money is integer micro-yuan.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from creditgate.rating.adjusted import Late, late_faults, late_use
from creditgate.rating.bases import plan_faults
from creditgate.rating.faults import Fault, line_named, require
from creditgate.rating.grounds import Grounds, RatedMonth, closed_months, month_before
from creditgate.rating.settled import LineKey, settled_so_far
from creditgate.transparency.merkle import ProofInvalid
from creditgate.v1 import usage_service_pb2 as pb


class StatementChecked(NamedTuple):
    """What a statement was found to be.

    ``overcharge`` is what it says is due beyond what is, or beyond what another closed statement of
    the month says, 0 at least; ``unchecked`` tells in words
    what could not be held against anything.
    """

    operator_id: str
    month: str
    closed: bool
    due: int
    overcharge: int
    faults: tuple[Fault, ...]
    unchecked: tuple[str, ...]


def check_statement(statement: pb.Statement, grounds: Grounds) -> StatementChecked:
    """Return what of ``statement`` does not follow from its grounds.

    Raises ProofInvalid where the grounds are not all there is to hold it against.
    """
    if statement.usage_size > len(grounds.uses):
        raise ProofInvalid("the statement counts uses that are not logged")
    if not statement.HasField("basis"):
        raise ProofInvalid("the statement does not tell what it was rated by")
    month = RatedMonth(statement, statement.basis, grounds)
    right = month.rated(statement.usage_size, statement.month)
    faults = [*month.faults, *_own_faults(statement, right)]
    late = list(late_use(statement, grounds, faults))
    faults += late_faults(statement, late)
    credited = _credited(statement, grounds.earlier, faults)
    due = right.total_micro_yuan + sum(each.amount for each in late) - credited
    require(faults, "due", statement.due_micro_yuan, due)
    faults += _share_faults(statement)
    faults += plan_faults([statement, *grounds.earlier])
    others = _other_closings(statement, grounds.earlier)
    for other in others:
        stated, signed = statement.due_micro_yuan, other.due_micro_yuan
        faults.append(Fault("closed twice, due", f"{stated}", f"{min(stated, signed)}, and one"))
    least = min([due, *(other.due_micro_yuan for other in others)])
    return StatementChecked(
        statement.operator_id,
        statement.month,
        statement.HasField("close_time"),
        statement.due_micro_yuan,
        max(statement.due_micro_yuan - least, 0),
        tuple(faults),
        tuple(_unchecked(statement, grounds.earlier, late)),
    )


def _own_faults(statement: pb.Statement, right: pb.Statement) -> Iterable[Fault]:
    faults: list[Fault] = []
    for name in ("total_micro_yuan", "total_entries", "list_micro_yuan"):
        require(faults, name, getattr(statement, name), getattr(right, name))
    stated, ought = (settled_so_far(each.month, [each]) for each in (statement, right))
    for key in sorted(stated.fees.keys() | ought.fees.keys()):
        where = line_named(key)
        require(faults, f"records of {where}", stated.entries[key], ought.entries[key])
        require(faults, f"fee of {where}", stated.fees[key], ought.fees[key])
    if [LineKey(x.item, x.source, x.region) for x in statement.lines] != [
        LineKey(x.item, x.source, x.region) for x in right.lines
    ]:
        faults.append(Fault("lines", f"{len(statement.lines)}", f"{len(right.lines)} others"))
    for number, (own, due) in enumerate(zip(statement.lines, right.lines, strict=False)):
        prices = own.unit_price_micro_yuan, due.unit_price_micro_yuan
        require(faults, f"price of line {number}", *prices)
    faults += _parts(statement, right)
    if list(statement.plan_ids) != list(right.plan_ids):
        faults.append(Fault("plans", _listed(statement.plan_ids), _listed(right.plan_ids)))
    return faults


def _parts(statement: pb.Statement, right: pb.Statement) -> Iterable[Fault]:
    """Yield charges, and parts of charges, that are not what they ought to be."""
    for name in ("charges", "details"):
        stated = [_unexplained(each) for each in getattr(statement, name)]
        ought = list(getattr(right, name))
        for number in range(max(len(stated), len(ought))):
            one = stated[number] if number < len(stated) else None
            other = ought[number] if number < len(ought) else None
            if one != other:
                where = f"{name[:-1]} {number}"
                yield Fault(where, _charged(one), _charged(other))


def _credited(statement: pb.Statement, earlier: Sequence[pb.Statement], faults: list[Fault]) -> int:
    """Return what is to be given back in the month, by all that was signed of it."""
    stated = {each.credit_note_id: each for each in statement.credit_notes}
    if len(stated) != len(statement.credit_notes):
        faults.append(Fault("credit notes", "one twice", "each once"))
    amounts = {name: note.amount_micro_yuan for name, note in stated.items()}
    for other in earlier:
        both_closed = statement.HasField("close_time") and other.HasField("close_time")
        for note in other.credit_notes if other.month == statement.month else ():
            if _is_true_up(note, other.month) and not both_closed:
                # How things stand in an open month, and stand otherwise later.
                continue
            name, amount = note.credit_note_id, note.amount_micro_yuan
            if statement.HasField("close_time") or name in stated:
                require(faults, f"credit note {name[:8]}", amounts.get(name, 0), amount)
                amounts[name] = max(amounts.get(name, 0), amount)
    for note in statement.credit_notes:
        if note.amount_micro_yuan <= 0 and not _is_true_up(note, statement.month):
            name, amount = note.credit_note_id, note.amount_micro_yuan
            faults.append(Fault(f"credit note {name[:8]}", f"{amount}", "more than 0"))
            amounts[name] = max(amounts[name], 0)
        whole = sum(use.amount_micro_yuan for use in note.uses)
        name = note.credit_note_id[:8]
        require(faults, f"credit note {name}, of its uses", note.amount_micro_yuan, whole)
        if (note.operator_id, note.month) != (statement.operator_id, statement.month):
            faults.append(Fault(f"credit note {name}", "of another month", statement.month))
    return sum(amounts.values())


def _is_true_up(note: pb.CreditNote, month: str) -> bool:
    """Tell whether a note of a statement of ``month`` puts right what others gave back, as its label
    says: of its own month or one before, and about no use."""
    places = {use.usage_index for use in note.uses}
    return "" < note.trued_up_month <= month and places <= {-1}


def _share_faults(statement: pb.Statement) -> Iterable[Fault]:
    """Yield shares that are not the fee they are of (guarantee G6)."""
    faults: list[Fault] = []
    shared = (
        ("shares", statement.total_micro_yuan, statement.shares),
        ("shares of what is due", statement.due_micro_yuan, statement.due_shares),
        *(
            (f"shares of {line_named(line)}", line.fee_micro_yuan, line.shares)
            for line in statement.lines
        ),
        *(
            (f"shares of the adjustment of {each.month}", each.amount_micro_yuan, each.shares)
            for each in statement.adjustments
        ),
    )
    for where, amount, shares in shared:
        require(faults, where, sum(each.amount_micro_yuan for each in shares), amount)
    return faults


def _other_closings(
    statement: pb.Statement, earlier: Iterable[pb.Statement]
) -> Sequence[pb.Statement]:
    """Return the closed statements of the month that are not this closed one: it has but one."""
    if not statement.HasField("close_time"):
        return []
    return [
        other
        for other in earlier
        if other.month == statement.month and other.HasField("close_time") and other != statement
    ]


def _unchecked(
    statement: pb.Statement, earlier: Sequence[pb.Statement], late: Iterable[Late]
) -> Iterable[str]:
    for each in late:
        if not each.known:
            yield f"what {each.month} came to before: no basis tells how many subjects were settled"
    for note in statement.credit_notes:
        if note.trued_up_month and note.amount_micro_yuan < 0:
            yield (
                f"that {-note.amount_micro_yuan} of what notes gave back of {note.trued_up_month} is"
                " taken back: what their evidence proves is not held against the month here"
            )
    if statement.basis.subjects:
        yield "whom answers were about: subjects are at most as many as records"
    if month_before(statement.month) not in closed_months(earlier) and statement.adjustments:
        yield "what earlier statements settled: their documents are not at hand"


def _unexplained(part: pb.StatementCharge | pb.StatementDetail) -> object:
    plain = type(part)()
    plain.CopyFrom(part)  # pyright: ignore[reportArgumentType]
    plain.explanation_zh = plain.explanation_en = ""
    return plain


def _charged(part: object) -> str:
    if isinstance(part, pb.StatementCharge):
        start, end = part.period.start_time.seconds, part.period.end_time.seconds
        named = f"{part.component_id} of {part.plan_id or 'no plan'}"
        return f"{part.fee_micro_yuan} for {part.quantity} by {named} in [{start}, {end})"
    if isinstance(part, pb.StatementDetail):
        fee, start = part.fee_micro_yuan, part.part_from.seconds
        return (
            f"{fee} for {part.quantity} of {line_named(part)} of charge {part.charge} from {start}"
        )
    return "nothing"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
