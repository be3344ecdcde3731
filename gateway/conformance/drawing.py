"""Drawing: which copies an operator must show, of those it has just attested.

What is asked for cannot be foreseen, so an operator that lies about a share of its copies is
caught with the probability that docs/conformance.md states. Each attestation draws of all
copies anew, whatever is asked for already.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

import numpy as np
from sqlalchemy import Connection, insert

from creditgate.refusal import Refused
from creditgate.transparency.facts import copy_digest
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.conformance.answered import last_answer
from gateway.conformance.asking_again import Rank, Why
from gateway.conformance.blocks import Sequences
from gateway.conformance.finding_rows import dated_id
from gateway.conformance.finding_tables import CHALLENGES, DRAWS
from gateway.conformance.model import Challenge
from gateway.conformance.open_challenges import OpenChallenge, open_challenges
from gateway.conformance.policy import ConformancePolicy
from gateway.conformance.revisions import Revision, revisions_of
from gateway.conformance.standings import count_challenges
from gateway.storage.engines import Engines, reading
from gateway.storage.writes import wrote

MOST_OPEN: Final = 1_000
"""Most copies drawn that one operator is asked for at a time."""
_ASK: Final = insert(CHALLENGES)
_DRAW: Final = insert(DRAWS)
_DRAWN_FOR_ONE: Final = 3
_MOST_AGAIN: Final = 500
"""Most that one operator is asked for again at a time for one reason, besides those drawn."""
_RETRY_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Drawn:
    """Copies to be asked for: ``revisions`` drawn at random, and ``again`` those of which something
    was found before, each with why, in the order of their turns. ``answers`` is a position the ledger
    had come to before the operator could know."""

    operator_id: str
    revisions: Sequence[Revision]
    again: Sequence[tuple[Why, Revision]]
    answer_seconds: int
    answers: int
    unshown_seconds: int

    def asking(self, connection: Connection) -> frozenset[int]:
        """Return the revisions that the operator has to show once this is written, those asked for
        already among them; the operator must be locked."""
        asked = open_challenges(connection, self.operator_id)
        new = (*self._drawn(asked), *(each for _, each in self._again(asked)))
        return frozenset((*asked, *(each.sequence for each in new)))

    def _drawn(self, asked: Collection[int]) -> list[Revision]:
        """Return what was drawn and is to be asked for besides ``asked``."""
        return [each for each in self.revisions if each.sequence not in asked]

    def _again(self, asked: Mapping[int, OpenChallenge]) -> list[tuple[Why, Revision]]:
        """Return what is to be asked for again besides ``asked`` and all that were drawn, as far as
        there is room."""
        known = {*asked, *(each.sequence for each in self.revisions)}
        taken = Counter(each.why for each in asked.values())
        left = {why: _MOST_AGAIN - taken[why] for why in Why}
        new: list[tuple[Why, Revision]] = []
        for why, each in self.again:
            if each.sequence not in known and left[why] > 0:
                left[why] -= 1
                new.append((why, each))
        return new

    def write(self, connection: Connection, attestation_id: str, now: int) -> None:
        """Ask for the copies for an attestation; the operator must be locked.

        What is asked for already is asked for this attestation too, and its deadline stays.
        Raises Refused RATE_EXCEEDED where there is no room for all that were drawn; what is
        asked for again comes as far as there is room.
        """
        open_ones = open_challenges(connection, self.operator_id)
        drawn = self._drawn(open_ones)
        _require_room(open_ones, len(drawn))
        new = (*((None, each) for each in drawn), *self._again(open_ones))
        asked = {revision: each.challenge_id for revision, each in open_ones.items()}
        rows = {
            Challenge(
                challenge_id=dated_id(now),
                operator_id=self.operator_id,
                record_id=each.copy.record_id,
                revision_sequence=each.sequence,
                copy_digest=copy_digest(each.copy),
                severity=each.severity,
                attestation_id=attestation_id,
                issued_at=now,
                deadline=now + self.answer_seconds,
                answers=self.answers,
                show_by=now + self.unshown_seconds,
            ): why
            for why, each in new
        }
        if rows:
            closing = {"closed_at": 0, "confirmed": False, "finding_id": "", "refreshed": False}
            connection.execute(
                _ASK,
                [row._asdict() | closing | {"again": why} for row, why in rows.items()],
            )
            wrote(connection, CHALLENGES, [(row.challenge_id,) for row in rows])
            count_challenges(connection, self.operator_id, issued=len(rows))
            asked |= {row.revision_sequence: row.challenge_id for row in rows}
        for_it = {
            each.sequence for each in (*self.revisions, *(each for _, each in self.again))
        } & asked.keys()
        if for_it:
            draws = [(attestation_id, asked[sequence]) for sequence in sorted(for_it)]
            names = DRAWS.primary_key.columns.keys()
            connection.execute(_DRAW, [dict(zip(names, draw, strict=True)) for draw in draws])
            wrote(connection, DRAWS, draws)


class Drawing:
    """Draws copies of one installation. Calls block.

    ``rng`` must be one nobody can foresee (`random.SystemRandom`).
    """

    def __init__(self, engines: Engines, policy: ConformancePolicy, rng: Random) -> None:
        self._records = engines.records
        self._evidence = engines.evidence
        self._policy = policy
        self._rng = rng

    def require_room(self, operator_id: str, copies: int) -> None:
        """Raise Refused RATE_EXCEEDED where an operator that attests ``copies`` has too many to
        show already."""
        with reading(self._evidence) as connection:
            asked = open_challenges(connection, operator_id)
        _require_room(asked, self._policy.sampling.copies(copies))

    def draw(
        self, operator_id: str, right: Sequences, again: Mapping[int, Rank], now: int
    ) -> Drawn:
        """Return copies to ask for of those an operator attested at ``now`` (seconds, UTC): some of
        the revisions ``right``, each with the same chance, and all of ``again``, revisions by
        sequence with their ranks. What is disclosed no longer is in neither."""
        with reading(self._records) as connection:
            revisions = self._some(connection, right, now)
            besides = [
                each for each in revisions_of(connection, again.keys()) if not is_over(each, now)
            ]
            answers = last_answer(connection, operator_id)
        # There may be no room for all of them, and which of a rank come cannot be foreseen.
        self._rng.shuffle(besides)
        besides.sort(key=lambda each: again[each.sequence])
        return Drawn(
            operator_id,
            revisions,
            [(again[each.sequence].why, each) for each in besides],
            self._policy.answer_seconds,
            answers,
            self._policy.unshown_seconds,
        )

    def _some(self, connection: Connection, right: Sequences, now: int) -> list[Revision]:
        """Return as many of ``right`` as the policy asks for of those that are disclosed still, or
        all of these.

        All come in a random order, of which the first are looked at. Ended ones are passed over.
        """
        wanted = self._policy.sampling.copies(len(right))
        found: list[Revision] = []
        left, size = right, _DRAWN_FOR_ONE * wanted
        while len(left):
            places = self._rng.sample(range(len(left)), min(len(left), size))
            drawn: list[int] = left[places].tolist()
            known = {each.sequence: each for each in revisions_of(connection, drawn)}
            found += [known[each] for each in drawn if not is_over(known[each], now)]
            if len(found) >= wanted:
                break
            left, size = np.delete(left, places), 4 * size
        return found[:wanted]

    def ended(self, sequences: Collection[int], now: int) -> frozenset[int]:
        """Return which revisions are disclosed no longer at ``now`` (seconds, UTC)."""
        if not sequences:
            return frozenset()
        with reading(self._records) as connection:
            return frozenset(
                each.sequence for each in revisions_of(connection, sequences) if is_over(each, now)
            )


def is_over(revision: Revision, now: int) -> bool:
    """Tell whether a revision is disclosed no longer at ``now`` (seconds, UTC)."""
    return revision.ending is not None or revision.copy.disclosed_until <= now


def _require_room(asked: Mapping[int, OpenChallenge], drawn: int) -> None:
    """Raise Refused where there is no room for so many more that were ``drawn``."""
    if sum(each.why is None for each in asked.values()) + drawn > MOST_OPEN:
        raise Refused(
            RefusalReason.REFUSAL_REASON_RATE_EXCEEDED,
            "Too many copies you attested are still to be shown; answer the challenges first.",
            retry_after=_RETRY_SECONDS,
        )
