"""What two regions agree on, found by each in its own ledger and in what the other claims."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from creditgate.clearing import (
    SCHEMA_VERSION,
    Clearing,
    ClearingAcceptance,
    LeftOut,
    Sums,
    document_digest,
)
from creditgate.clearing_amounts import AmountLine
from creditgate.clearing_disputes import (
    UNDER_WAY,
    Dispute,
    dispute_id,
    dispute_of,
    disputes_digest,
    kind_at,
)
from creditgate.clearing_entries import ClearingEntry, entries_digest
from creditgate.reconcile.elements import ELEMENT_BYTES
from creditgate.v1.clearing_service_pb2 import ClearingDisputeKind
from gateway.federation.clearing.claims import Claims, Part
from gateway.federation.clearing.own_side import Carried, OwnSide
from gateway.federation.clearing.store import ClearingRow, Made
from sdk.documents import DocumentRefused


class Differs(Exception):
    """A clearing is not what this region's ledger says; the message says how."""


class Outcome(NamedTuple):
    """What follows from two sides: what is agreed, with its elements, packed, and what is left out:
    disputes ``found`` or found changed, and those ``carried`` on with their kind by now."""

    sums: Sums
    elements: bytes
    left_out: LeftOut
    found: tuple[Dispute, ...]
    carried: Mapping[bytes, ClearingDisputeKind.ValueType]


class _Tally:
    """What is agreed, summed up."""

    def __init__(self) -> None:
        self.digests: list[bytes] = []
        self.own_due = self.other_due = self.adjusted = 0

    def add(self, parts: Iterable[Part]) -> None:
        """Take in some entries, each once."""
        for digest, fee, is_home, is_late in parts:
            self.digests.append(digest)
            self.own_due += fee if is_home else 0
            self.other_due += 0 if is_home else fee
            self.adjusted += is_late


def outcome(side: OwnSide, theirs: Claims, until: int, proposing: str) -> Outcome:
    """Return what follows for one side from what the other claims of each answer that differs, in
    a period up to ``until`` (seconds, UTC).

    ``proposing`` is the region that proposes. Raises LedgerMoved.
    """
    alike = _Tally()
    found: list[Dispute] = []
    for answer in side.answers:
        if answer not in theirs:
            alike.add(side.parts(answer))
    mine = side.claims(theirs.keys())
    for answer, other in theirs.items():
        own, claimed = set(mine[answer]), set(other)
        alike.add(_part(entry, side) for entry in own & claimed)
        here, there = tuple(own - claimed), tuple(claimed - own)
        if here or there:
            is_home = (here or there)[0].home == side.own
            home, asking = (here, there) if is_home else (there, here)
            found.append(dispute_of(home, asking, until))
    left = {answer: each for answer, each in side.carried.items() if answer not in theirs}
    return _outcome(side, alike, found, left, until, proposing)


def handed_back(
    clearing: Clearing,
    agreed: Collection[bytes],
    found: Sequence[Dispute],
    closed: frozenset[bytes],
    opened: Mapping[bytes, Carried],
) -> Outcome:
    """Return what follows for the side that has signed a clearing and lost it, from what the other
    kept of it: the digests of the entries agreed, the disputes found, and the answers of those it
    closed; ``opened`` are the disputes that were open before.

    Raises DocumentRefused unless it is what both signed.
    """
    changed = closed | {each.answer.id for each in found}
    left = {answer: each for answer, each in opened.items() if answer not in changed}
    carried, left_out = _left_out(found, left, clearing.until)
    if entries_digest(agreed) != clearing.entries_digest:
        raise DocumentRefused("The entries told are not those that both signed.")
    if left_out != clearing.left_out:
        raise DocumentRefused("What is told as left out is not what both signed.")
    return Outcome(clearing.sums, _elements(agreed), left_out, tuple(found), carried)


def _outcome(
    side: OwnSide,
    alike: _Tally,
    found: Sequence[Dispute],
    left: Mapping[bytes, Carried],
    until: int,
    proposing: str,
) -> Outcome:
    """Return the outcome where the disputes ``found`` are left out, and those ``left`` still."""
    own_due, other_due = alike.own_due, alike.other_due
    dues = (own_due, other_due) if proposing == side.own else (other_due, own_due)
    digest = entries_digest(alike.digests)
    carried, left_out = _left_out(found, left, until)
    return Outcome(
        Sums(len(alike.digests), alike.adjusted, *dues, digest),
        _elements(alike.digests),
        left_out,
        tuple(found),
        carried,
    )


def _left_out(
    found: Sequence[Dispute], left: Mapping[bytes, Carried], until: int
) -> tuple[Mapping[bytes, ClearingDisputeKind.ValueType], LeftOut]:
    """Return those ``left`` with their kinds by then, and what both sign of what is left out."""
    carried = {answer: kind_at(each.kind, each.served, until) for answer, each in left.items()}
    kinds = [*carried.values(), *(each.kind for each in found)]
    under_way = kinds.count(UNDER_WAY)
    shown = [(dispute_id(answer), each.shown) for answer, each in left.items()]
    shown += [(dispute_id(each.answer.id), each.shown) for each in found]
    return carried, LeftOut(len(kinds) - under_way, under_way, disputes_digest(shown))


def _elements(digests: Iterable[bytes]) -> bytes:
    return b"".join(sorted(each[:ELEMENT_BYTES] for each in digests))


def _part(entry: ClearingEntry, side: OwnSide) -> Part:
    return Part(entry.digest(), entry.fee, entry.home == side.own, entry.serve_seconds < side.start)


def proposal(
    found: Outcome,
    amounts: tuple[AmountLine, ...],
    *,
    own: str,
    other: str,
    start: int,
    until: int,
    previous: str,
    now: int,
) -> Clearing:
    """Return the clearing that ``own`` proposes to ``other``, with what months come to beyond list
    prices.

    ``previous`` is the document of the last one, "" in the first; times in seconds, UTC.
    """
    sums, left_out = found.sums, found.left_out
    return Clearing(
        iss=own,
        iat=now,
        schema_version=SCHEMA_VERSION,
        other=other,
        start=start,
        until=until,
        previous=document_digest(previous) if previous else "",
        entries=sums.entries,
        adjusted=sums.adjusted,
        proposing_due=sums.proposing_due,
        other_due=sums.other_due,
        entries_digest=sums.digest,
        disputes=left_out.disputes,
        under_way=left_out.under_way,
        disputes_digest=left_out.digest,
        amounts=amounts,
    )


def acceptance(document: str, own: str, now: int) -> ClearingAcceptance:
    """Return what ``own`` signs to agree on a clearing."""
    return ClearingAcceptance(
        iss=own, iat=now, schema_version="1", clearing=document_digest(document)
    )


def require_same(clearing: Clearing, found: Outcome) -> None:
    """Raise Differs unless a clearing says what this region finds."""
    if clearing.sums != found.sums:
        raise Differs("it agrees on other entries, or on other amounts")
    if clearing.left_out != found.left_out:
        raise Differs("it leaves out other answers")


def follows(clearing: Clearing, last: ClearingRow | None) -> bool:
    """Tell whether a clearing begins where ``last`` ends, and names it; None where there is none."""
    start, previous = (0, "") if last is None else (last.until, document_digest(last.document))
    return (clearing.start, clearing.previous) == (start, previous)


def made(
    clearing: Clearing,
    document: str,
    signature: str,
    own: str,
    elements: bytes,
    *,
    in_ledger: int,
    agreed_at: int | None,
) -> Made:
    """Return a clearing as it is kept by the region ``own``, whose ledger has ``in_ledger`` entries
    of its period."""
    other = clearing.other if clearing.iss == own else clearing.iss
    return Made(
        region=other,
        start=clearing.start,
        until=clearing.until,
        proposing=clearing.iss,
        document=document,
        acceptance=signature,
        made_at=clearing.iat,
        agreed_at=agreed_at,
        entries=clearing.entries,
        adjusted=clearing.adjusted,
        owed=clearing.due_to(other),
        due=clearing.due_to(own),
        disputes=clearing.disputes,
        under_way=clearing.under_way,
        ledger_entries=in_ledger,
        elements=elements,
    )
