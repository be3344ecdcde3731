"""What two regions agree on, made by one and checked by the other against its own entries."""

from collections.abc import Sequence

from creditgate.clearing import (
    MOST_DISPUTES,
    Clearing,
    ClearingAcceptance,
    ClearingEntry,
    Dispute,
    disputes_of,
    document_digest,
)
from gateway.federation.clearing.own_side import OwnSide
from gateway.federation.clearing.store import Made, counts_of


class TooManyDisputes(Exception):
    """The ledgers differ by more than a clearing leaves out: people look first."""


class Differs(Exception):
    """A clearing is not what this region's ledger says; the message says how."""


def proposal(
    side: OwnSide,
    own_only: Sequence[ClearingEntry],
    other_only: Sequence[ClearingEntry],
    *,
    own: str,
    other: str,
    start: int,
    until: int,
    previous: str,
    now: int,
) -> Clearing:
    """Return the clearing that ``own`` proposes to ``other``, where each alone has the entries
    named.

    ``previous`` is the document of the last one, "" in the first; times in seconds, UTC. Raises
    TooManyDisputes.
    """
    disputes = disputes_of(own_only, other_only, own, until)
    if len(disputes) > MOST_DISPUTES:
        raise TooManyDisputes
    sums, _ = side.agreed(own_only, own)
    return Clearing(
        iss=own,
        iat=now,
        schema_version="1",
        other=other,
        start=start,
        until=until,
        previous=document_digest(previous) if previous else "",
        entries=sums.entries,
        adjusted=sums.adjusted,
        proposing_due=sums.proposing_due,
        other_due=sums.other_due,
        entries_digest=sums.digest,
        disputes=tuple(each.part() for each in disputes),
    )


def acceptance(document: str, own: str, now: int) -> ClearingAcceptance:
    """Return what ``own`` signs to agree on a clearing."""
    return ClearingAcceptance(
        iss=own, iat=now, schema_version="1", clearing=document_digest(document)
    )


def require_same(clearing: Clearing, side: OwnSide, own: str) -> bytes:
    """Return the elements agreed on where a clearing says what this region's own entries do.

    Raises Differs.
    """
    disputes = [each.dispute for each in clearing.disputes]
    other = clearing.other if clearing.iss == own else clearing.iss
    own_only = [one for each in disputes if (one := each.version(own)) is not None]
    other_only = [one for each in disputes if (one := each.version(other)) is not None]
    if not all(side.has(each) for each in own_only):
        raise Differs("it disputes an entry of this region that this region has not")
    if any(side.has(each) for each in other_only):
        raise Differs("it disputes an entry that both regions have")
    sums, elements = side.agreed(own_only, clearing.iss)
    if sums != clearing.sums:
        raise Differs("it agrees on other entries, or on other amounts")
    return elements


def made(
    clearing: Clearing,
    document: str,
    signature: str,
    side: OwnSide,
    elements: bytes,
    *,
    own: str,
    made_at: int,
    agreed_at: int | None,
) -> Made:
    """Return a clearing as it is kept by ``own``."""
    other = clearing.other if clearing.iss == own else clearing.iss
    left_out: list[Dispute] = [each.dispute for each in clearing.disputes]
    disputes, under_way = counts_of(left_out)
    return Made(
        region=other,
        start=clearing.start,
        until=clearing.until,
        proposing=clearing.iss,
        document=document,
        acceptance=signature,
        made_at=made_at,
        agreed_at=agreed_at,
        entries=clearing.entries,
        adjusted=clearing.adjusted,
        owed=clearing.due_to(other),
        due=clearing.due_to(own),
        disputes=disputes,
        under_way=under_way,
        ledger_entries=side.in_ledger,
        elements=elements,
    )
