"""Challenges (抽查): copies an operator attested and must show, drawn after it attested.

What is asked for cannot be foreseen, so an operator that lies about a share of its copies is
caught with the probability that docs/conformance.md states.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, NamedTuple, Protocol

from sqlalchemy import Connection, delete, insert, literal_column, select, update

from creditgate.transparency.facts import copy_digest
from gateway.conformance.finding_rows import (
    close_findings,
    dated_id,
    new_finding,
    standing_of_record,
    write_findings,
)
from gateway.conformance.finding_tables import CHALLENGES, UNANSWERED
from gateway.conformance.model import ATTESTATION_FALSE, Challenge, Difference
from gateway.conformance.policy import ConformancePolicy
from gateway.conformance.revisions import Revision, revisions_of
from gateway.conformance.standings import count_challenges, touch
from gateway.storage.engines import Engines, reading
from gateway.storage.sweeping import Sweeping

MOST_OPEN: Final = 1_000
"""Most copies one operator is asked for at a time."""
_ROUNDS: Final = 8
_MOST_DRAWN: Final = 20_000
_AT_ONCE: Final = 500
_KEPT_SECONDS: Final = 400 * 86_400
_SWEEP_SECONDS: Final = 86_400
_C = CHALLENGES.c
_COLUMNS: Final = [CHALLENGES.c[name] for name in Challenge._fields]


class Holdings(Protocol):
    """What is needed of `gateway.conformance.holdings.Holdings`."""

    def sample(self, operator_id: str, count: int, rng: Random, now: int) -> Sequence[int]:
        """Return up to ``count`` revisions an operator should hold at ``now``, drawn at
        random without replacement."""
        ...


class Answer(NamedTuple):
    """A copy as an operator shows it: its `facts.copy_digest` and SHA-256 of its content,
    both b"" where it holds none any more."""

    challenge_id: str
    copy_digest: bytes
    content_digest: bytes


class Judged(NamedTuple):
    """What came of answers: how many copies are as they should be, and the findings opened."""

    confirmed: int
    finding_ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class Drawn:
    """Copies drawn, to be asked for with the attestation they were drawn from."""

    operator_id: str
    revisions: Sequence[Revision]
    answer_seconds: int

    def write(self, connection: Connection, attestation_id: str, now: int) -> None:
        """Ask for the copies, but for those that are asked for already; the operator must be
        locked."""
        open_ones = _open(connection, self.operator_id)
        wanted = [each for each in self.revisions if each.sequence not in open_ones]
        wanted = wanted[: max(0, MOST_OPEN - len(open_ones))]
        if not wanted:
            return
        rows = [
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
            )
            for each in wanted
        ]
        closing = {"closed_at": 0, "confirmed": False, "finding_id": ""}
        connection.execute(insert(CHALLENGES), [row._asdict() | closing for row in rows])
        count_challenges(connection, self.operator_id, issued=len(rows))


class Challenges:
    """The challenges of one installation. Calls block.

    ``rng`` must be one nobody can foresee (`random.SystemRandom`).
    """

    def __init__(
        self, engines: Engines, policy: ConformancePolicy, holdings: Holdings, rng: Random
    ) -> None:
        self._records = engines.records
        self._evidence = engines.evidence
        self._policy = policy
        self._holdings = holdings
        self._rng = rng
        self._sweeping = Sweeping(_SWEEP_SECONDS)

    def draw(
        self,
        operator_id: str,
        copies: int,
        missing: Collection[int],
        again: Collection[int],
        now: int,
    ) -> Drawn:
        """Return copies to ask for of the ``copies`` an operator attested at ``now`` (seconds,
        UTC): of what it should hold and does not call ``missing``, and all of ``again``,
        revisions by sequence."""
        wanted = self._policy.sampling.copies(copies)
        chosen = set(again)
        drawn = self._drawn(operator_id, wanted, frozenset(missing), now)
        chosen.update(drawn)
        with reading(self._records) as connection:
            revisions = [
                each for each in revisions_of(connection, chosen) if not _is_over(each, now)
            ]
        return Drawn(operator_id, revisions, self._policy.answer_seconds)

    def ended(self, sequences: Collection[int], now: int) -> frozenset[int]:
        """Return which revisions are disclosed no longer at ``now`` (seconds, UTC)."""
        if not sequences:
            return frozenset()
        with reading(self._records) as connection:
            return frozenset(
                each.sequence for each in revisions_of(connection, sequences) if _is_over(each, now)
            )

    def listed(self, operator_id: str, after: str, now: int, limit: int) -> list[Challenge]:
        """Return the challenges an operator has still to answer at ``now``, by deadline;
        ``after`` is the id an earlier page ended at."""
        query = (
            select(*_COLUMNS)
            .where(_C.operator_id == operator_id, UNANSWERED, _C.deadline > now)
            # Ids are in order of time, and all have the same time to be answered.
            .order_by(_C.challenge_id)
            .limit(limit)
        )
        if after:
            query = query.where(_C.challenge_id > after)
        with reading(self._evidence) as connection:
            return [Challenge(*row) for row in connection.execute(query)]

    def records(self, operator_id: str, challenge_ids: Collection[str]) -> dict[str, str]:
        """Return the records these challenges ask for, of those that are the operator's,
        answered or not."""
        query = select(_C.challenge_id, _C.record_id).where(
            _C.operator_id == operator_id, _C.challenge_id.in_(challenge_ids)
        )
        with reading(self._evidence) as connection:
            return {row.challenge_id: row.record_id for row in connection.execute(query)}

    def judge(self, operator_id: str, answers: Iterable[Answer], now: int) -> Judged:
        """Judge answers at ``now``; of a challenge that is closed nothing changes.

        A copy that differs, is not held or comes too late makes a finding, unless its
        disclosure has ended meanwhile. One that is as it should be rectifies what was found
        when it was asked for before.
        """
        by_id = {each.challenge_id: each for each in answers}
        query = select(*_COLUMNS).where(
            _C.operator_id == operator_id, UNANSWERED, _C.challenge_id.in_(by_id)
        )
        with reading(self._evidence) as connection:
            asked = [Challenge(*row) for row in connection.execute(query)]
        ended = self.ended({each.revision_sequence for each in asked}, now)
        confirmed = 0
        opened: list[str] = []
        with self._evidence.begin() as connection:
            touch(connection, operator_id, now)
            for challenge in (Challenge(*row) for row in connection.execute(query).all()):
                answer = by_id[challenge.challenge_id]
                in_time = now < challenge.deadline
                if in_time and answer.copy_digest == challenge.copy_digest:
                    confirmed += 1
                    self._confirm(connection, challenge, now)
                elif challenge.revision_sequence in ended:
                    _close(connection, challenge, now)
                else:
                    opened += self._find(connection, challenge, answer.content_digest, now)
            count_challenges(connection, operator_id, confirmed=confirmed)
        return Judged(confirmed, opened)

    def expire(self, now: int) -> bool:
        """Find what was not shown by ``now``; tell whether there may be more."""
        query = select(*_COLUMNS).where(UNANSWERED, _C.deadline <= now).limit(_AT_ONCE)
        with reading(self._evidence) as connection:
            late = [Challenge(*row) for row in connection.execute(query)]
        for operator_id in {each.operator_id for each in late}:
            self.judge(
                operator_id,
                [
                    Answer(each.challenge_id, b"", b"")
                    for each in late
                    if each.operator_id == operator_id
                ],
                now,
            )
        return len(late) == _AT_ONCE

    def forget(self, now: int) -> None:
        """Delete, once a day, challenges closed so long ago that nobody asks for them; what was
        counted of them stays."""
        if not self._sweeping.due(now):
            return
        with self._evidence.begin() as connection:
            connection.execute(
                delete(CHALLENGES).where(
                    _C.closed_at > literal_column("0"), _C.closed_at < now - _KEPT_SECONDS
                )
            )

    def _drawn(self, operator_id: str, wanted: int, missing: frozenset[int], now: int) -> list[int]:
        """Return what is drawn of what is held: more is drawn until enough of it is."""
        count = wanted
        found: list[int] = []
        for _ in range(_ROUNDS):
            drawn = self._holdings.sample(operator_id, count, self._rng, now)
            found = [each for each in drawn if each not in missing]
            if len(found) >= wanted or len(drawn) < count or count >= _MOST_DRAWN:
                break
            count = min(4 * count, _MOST_DRAWN)
        if len(found) > wanted:
            found = self._rng.sample(found, wanted)
        return found

    def _confirm(self, connection: Connection, challenge: Challenge, now: int) -> None:
        _close(connection, challenge, now, confirmed=True)
        before = standing_of_record(
            connection, challenge.operator_id, challenge.record_id, ATTESTATION_FALSE
        )
        close_findings(connection, before, now)

    def _find(
        self, connection: Connection, challenge: Challenge, held: bytes, now: int
    ) -> list[str]:
        """Close a challenge with a finding; return its id if it is new."""
        before = standing_of_record(
            connection, challenge.operator_id, challenge.record_id, ATTESTATION_FALSE
        )
        if before:
            _close(connection, challenge, now, finding_id=before[0])
            return []
        false = Difference(
            ATTESTATION_FALSE,
            challenge.record_id,
            challenge.severity,
            held,
            0,
            challenge.revision_sequence,
        )
        finding = new_finding(
            self._policy, challenge.operator_id, false, challenge.attestation_id, now
        )
        write_findings(connection, [finding])
        _close(connection, challenge, now, finding_id=finding.finding_id)
        return [finding.finding_id]


def _is_over(revision: Revision, now: int) -> bool:
    return revision.ending is not None or revision.copy.disclosed_until <= now


def _open(connection: Connection, operator_id: str) -> frozenset[int]:
    query = select(_C.revision_sequence).where(_C.operator_id == operator_id, UNANSWERED)
    return frozenset(connection.execute(query).scalars())


def _close(
    connection: Connection,
    challenge: Challenge,
    now: int,
    *,
    confirmed: bool = False,
    finding_id: str = "",
) -> None:
    connection.execute(
        update(CHALLENGES)
        .where(_C.challenge_id == challenge.challenge_id)
        .values(closed_at=now, confirmed=confirmed, finding_id=finding_id)
    )
