"""The answer's bytes: stored frames joined, and the receipt.

The records of an answer are never parsed or serialised again; only the receipt is
made for the call.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from types import MappingProxyType
from typing import Final, NamedTuple

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authorise.gate import Passage
from gateway.disclose.frame import framed
from gateway.disclose.model import LiveRevision
from gateway.disclose.tables import NO_END
from gateway.meter.fields import Heads
from gateway.meter.model import LineCount, Replayed, UsageClaim
from gateway.respond.mask import masked
from gateway.respond.receipted import Served, receipt_bytes

# Of every answer's message.
_RECEIPT: Final = Heads(b"\x12")
NO_MASKS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({})


class Selection(NamedTuple):
    """What of the found revisions may be served, and its proof where one was asked for: a
    serialised DisclosureProof."""

    frames: list[bytes]
    sequences: list[int]
    lines: tuple[LineCount, ...]
    usable_until: int
    proof: bytes = b""


class UnknownLine(Exception):
    """A revision's line is newer than the lines in memory: read them again."""


def require_prices(passage: Passage) -> None:
    """Raise Refused NO_PRICE_PLAN unless every item of the passage has a price.

    Whatever is found: refusing only where records are would tell who has some (G11).
    """
    if not passage.priced:
        raise Refused(
            RefusalReason.REFUSAL_REASON_NO_PRICE_PLAN,
            "No price plan in force covers an item asked for; the administrator must put"
            " one into force. Ask for other items by name meanwhile.",
        )


def select_served(
    revisions: Iterable[LiveRevision],
    passage: Passage,
    now: int,
    masks: Mapping[str, tuple[str, ...]],
) -> Selection:
    """Return the revisions that the passage allows and whose period holds at ``now``.

    Content is cut to the names that ``masks`` gives for its item, if it gives any. Raises
    UnknownLine.
    """
    prices = passage.prices
    known = passage.lines
    frames: list[bytes] = []
    sequences: list[int] = []
    counts: dict[int, int] = {}
    usable_until = NO_END
    for _subject, sequence, line_no, disclosed_from, disclosed_until, stored in revisions:
        if line_no not in prices:
            if line_no not in known:
                raise UnknownLine
            continue
        if not disclosed_from <= now < disclosed_until:
            continue
        names = masks.get(known[line_no].item) if masks else None
        frames.append(masked(stored, names) if names else stored)
        sequences.append(sequence)
        # Without calls, each of which costs as much as all else that is done for a record.
        if line_no in counts:
            counts[line_no] += 1
        else:
            counts[line_no] = 1
        if disclosed_until < usable_until:  # noqa: PLR1730  # as above
            usable_until = disclosed_until
    lines = tuple([LineCount(no, count, _price(prices, no)) for no, count in counts.items()])
    return Selection(frames, sequences, lines, usable_until)


def subjects_of(revisions: Iterable[LiveRevision], selection: Selection) -> set[str]:
    """Return whose records are served: of no others anything may be told, not even by a limit
    that is used up (G11)."""
    served = set(selection.sequences)
    return {row[0] for row in revisions if row[1] in served}


def _price(prices: Mapping[int, int | None], line_no: int) -> int:
    price = prices[line_no]
    assert price is not None, "a passage without prices lets nothing through"
    return price


def records_digest(frames: Iterable[bytes]) -> bytes:
    """Return the digest of an answer's records as UsageLeaf has it."""
    return sha256(b"".join([framed(stored) for stored in frames])).digest()


def served_by(claim: UsageClaim, selection: Selection, fee: int, usage: bytes) -> Served:
    """Return what the receipt of a charged claim states."""
    return Served(
        claim.decision_id,
        claim.served_at,
        selection.usable_until,
        claim.disclosure_sequence,
        len(claim.entries) >> 3,
        fee,
        False,
        usage,
    )


def replayed_by(claim: UsageClaim, selection: Selection, first: Replayed) -> Served:
    """Return what the receipt of a retry states, first answered by another decision."""
    return served_by(claim, selection, 0, first.receipt)._replace(
        decision_id=first.decision_id,
        charged_entries=0,
        replayed=True,
        first_served_at=first.served_at,
    )


def answer_bytes(frames: Sequence[bytes], served: Served, tail: bytes = b"") -> bytes:
    """Return a response: records as field 1, receipt as field 2, then ``tail``."""
    receipt = receipt_bytes(served)
    return b"".join((*frames, _RECEIPT[len(receipt)], receipt, tail))
