"""What an operator should hold (entitlement): what it was served, or has put right, and is still
disclosed.

What the follower has written down is read together with what it has not come to yet, so that
it is exact (G9). The positions are read first: whatever the follower adds meanwhile is at most
read twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np
from sqlalchemy import Connection

from consent.queries import ConsentQueries
from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.conformance.blocks import (
    BLOCK,
    Sequences,
    bits_of,
    is_marked,
    marked,
    sequences_of,
)
from gateway.conformance.consented import all_copies
from gateway.conformance.grounds import kept
from gateway.conformance.positions import EVENTS, answers_to, come_to
from gateway.conformance.put_right import put_right_bits
from gateway.conformance.revisions import facts_of, read_endings
from gateway.conformance.served import CutCopy, Served, ServedReader
from gateway.conformance.stored import ended_bits, served_bits, untils_of
from gateway.storage.engines import Engines, reading
from gateway.transparency.events import newest_event

_ANSWERS_AT_ONCE: Final = 2_000
_MOST_PARTS: Final = 100
"""So far behind the follower may be: what is farther behind is not read by each who asks."""


@dataclass(frozen=True, slots=True)
class Entitlement:
    """What an operator was served, and what has ended since.

    ``whole`` are revisions served whole, or put right (`gateway.conformance.put_right`), and ``ended`` those that have ended, as the bits of
    blocks; ``cut`` are copies served under consents, each with the latest time by which it
    must be gone. ``position`` is that of the disclosure it is as of.
    """

    position: int
    whole: Mapping[int, bytes]
    ended: Mapping[int, bytes]
    cut: Mapping[bytes, CutCopy]

    def has_ended(self, sequence: int) -> bool:
        """Tell whether a revision's disclosure has ended."""
        return is_marked(self.ended.get(sequence // BLOCK, b""), sequence)

    def cut_held(self, now: int) -> dict[bytes, CutCopy]:
        """Return the copies under consents that may be held at ``now`` (seconds, UTC)."""
        return {
            element: copy
            for element, copy in self.cut.items()
            if copy.until > now and not self.has_ended(copy.sequence)
        }


class Entitlements:
    """Reads entitlements. Calls block; any thread may ask."""

    def __init__(self, engines: Engines) -> None:
        self._records = engines.records
        self._evidence = engines.evidence
        self._answers = ServedReader(ConsentQueries(engines.records))

    def of(self, operator_id: str, now: int) -> Entitlement:
        """Return what an operator was served, as it is judged at ``now`` (seconds, UTC); raises
        Refused as `since`."""
        with reading(self._evidence) as evidence:
            events = come_to(evidence, EVENTS)
            answers = come_to(evidence, answers_to(operator_id))
            bits = served_bits(evidence, operator_id)
            whole = {number: each.whole for number, each in bits.items() if each.whole}
            put_right = sequences_of(put_right_bits(evidence, operator_id))
            copies = all_copies(evidence, operator_id)
        with reading(self._records) as records:
            head = newest_event(records)
            later = self.since(records, operator_id, answers)
            ending = read_endings(records, events, head)
            cut = kept(records, [*copies, *later.copies], now)
        whole |= marked(whole, np.concatenate((later.whole, put_right)))
        numbers = {*whole, *(copy.sequence // BLOCK for copy in cut.values())}
        with reading(self._evidence) as evidence:
            ended = ended_bits(evidence, numbers)
        ended |= marked(ended, np.array(ending, np.int64))
        return Entitlement(head, whole, ended, cut)

    def since(self, records: Connection, operator_id: str, after: int) -> Served:
        """Return what all answers to an operator after a position held.

        Raises Refused TEMPORARILY_UNAVAILABLE while they are too many.
        """
        parts = [self._answers.read(records, operator_id, after, _ANSWERS_AT_ONCE)]
        while parts[-1].more:
            if len(parts) == _MOST_PARTS:
                raise _behind()
            at = parts[-1].position
            parts.append(self._answers.read(records, operator_id, at, _ANSWERS_AT_ONCE))
        return Served(
            parts[-1].position,
            np.concatenate([part.whole for part in parts]),
            np.concatenate([part.cut for part in parts]),
            list(chain.from_iterable(part.copies for part in parts)),
            more=False,
        )

    def whole_held(self, entitlement: Entitlement, now: int) -> Sequences:
        """Return the revisions served whole that may be held at ``now`` (seconds, UTC)."""
        with reading(self._evidence) as evidence:
            untils = dict(untils_of(evidence, entitlement.whole))
        parts: list[Sequences] = []
        unknown: list[Sequences] = []
        for number, bits in entitlement.whole.items():
            served = bits_of(bits) & ~bits_of(entitlement.ended.get(number, b""))
            known = np.zeros(BLOCK, np.int64)
            stored = np.frombuffer(untils.get(number, b""), np.int64)
            known[: len(stored)] = stored
            parts.append(np.flatnonzero(served & (known > now)) + number * BLOCK)
            unknown.append(np.flatnonzero(served & (known == 0)) + number * BLOCK)
        if any(part.size for part in unknown):
            with reading(self._records) as records:
                facts = facts_of(records, np.concatenate(unknown).tolist())
            parts.append(np.array([each.sequence for each in facts if each.until > now], np.int64))
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _behind() -> Refused:
    return Refused(
        RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE,
        "What was served is still being worked out; try again in a minute.",
        retry_after=60,
    )
