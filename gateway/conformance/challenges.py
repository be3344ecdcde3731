"""Challenges (抽查): copies an operator attested and must show (`gateway.conformance.drawing`)."""

from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
from sqlalchemy import Connection, delete, literal_column, select, update

from gateway.conformance.drawing import is_over
from gateway.conformance.finding_rows import (
    close_findings,
    new_finding,
    standing_of_record,
    write_findings,
)
from gateway.conformance.finding_tables import CHALLENGES, DRAWS, UNANSWERED
from gateway.conformance.model import ATTESTATION_FALSE, Challenge, Difference
from gateway.conformance.policy import ConformancePolicy
from gateway.conformance.revisions import revisions_of
from gateway.conformance.standings import count_challenges, touch
from gateway.conformance.told_missing import (
    forget_told_missing,
    not_served_since,
    told_missing_since,
)
from gateway.storage.engines import Engines, reading
from gateway.storage.sweeping import Sweeping

_AT_ONCE: Final = 500
_KEPT_SECONDS: Final = 400 * 86_400
_SWEEP_SECONDS: Final = 86_400
_C = CHALLENGES.c
_COLUMNS: Final = [CHALLENGES.c[name] for name in Challenge._fields]


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


class Challenges:
    """The challenges of one installation. Calls block."""

    def __init__(self, engines: Engines, policy: ConformancePolicy) -> None:
        self._records = engines.records
        self._evidence = engines.evidence
        self._policy = policy
        self._sweeping = Sweeping(_SWEEP_SECONDS)

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
        ended = self._ended({each.revision_sequence for each in asked}, now)
        confirmed = 0
        opened: list[str] = []
        with self._evidence.begin() as connection:
            touch(connection, operator_id, now)
            for challenge in (Challenge(*row) for row in connection.execute(query).all()):
                answer = by_id[challenge.challenge_id]
                in_time = now < challenge.deadline
                if in_time and answer.copy_digest == challenge.copy_digest:
                    confirmed += 1
                    opened += self._confirm(connection, challenge, now)
                elif challenge.revision_sequence in ended:
                    _close(connection, challenge, now)
                else:
                    opened += self._find(connection, challenge, answer, now)
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
        old = (_C.closed_at > literal_column("0"), _C.closed_at < now - _KEPT_SECONDS)
        with self._evidence.begin() as connection:
            of_old = DRAWS.c.challenge_id.in_(select(_C.challenge_id).where(*old))
            connection.execute(delete(DRAWS).where(of_old))
            connection.execute(delete(CHALLENGES).where(*old))

    def _ended(self, sequences: Collection[int], now: int) -> frozenset[int]:
        with reading(self._records) as connection:
            return frozenset(
                each.sequence for each in revisions_of(connection, sequences) if is_over(each, now)
            )

    def _confirm(self, connection: Connection, challenge: Challenge, now: int) -> list[str]:
        """Close a challenge whose copy was shown right, which rectifies; return the finding
        where the operator has told since that it holds none, and was served none."""
        _close(connection, challenge, now, confirmed=True)
        operator_id, sequence = challenge.operator_id, challenge.revision_sequence
        before = standing_of_record(connection, operator_id, challenge.record_id, ATTESTATION_FALSE)
        close_findings(connection, before, now)
        answers = told_missing_since(connection, operator_id, sequence)
        if answers is None:
            return []
        if before:
            forget_told_missing(connection, operator_id, sequence)
            return []
        with reading(self._records) as records:
            kept = not_served_since(records, operator_id, np.array([sequence], np.int64), answers)
        if not kept.size:
            return []
        return [self._open(connection, challenge, challenge.copy_digest, b"", now)]

    def _find(
        self, connection: Connection, challenge: Challenge, shown: Answer, now: int
    ) -> list[str]:
        """Close a challenge with a finding; return its id if it is new."""
        before = standing_of_record(
            connection, challenge.operator_id, challenge.record_id, ATTESTATION_FALSE
        )
        if before:
            _close(connection, challenge, now, finding_id=before[0])
            return []
        finding_id = self._open(connection, challenge, shown.copy_digest, shown.content_digest, now)
        _close(connection, challenge, now, finding_id=finding_id)
        return [finding_id]

    def _open(
        self,
        connection: Connection,
        challenge: Challenge,
        copy_digest: bytes,
        held_digest: bytes,
        now: int,
    ) -> str:
        false = Difference(
            ATTESTATION_FALSE,
            challenge.record_id,
            challenge.severity,
            held_digest,
            0,
            challenge.revision_sequence,
            copy_digest,
        )
        finding = new_finding(
            self._policy, challenge.operator_id, false, challenge.attestation_id, now
        )
        write_findings(connection, [finding])
        return finding.finding_id


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
