"""Challenges (抽查): copies an operator attested and must show (`gateway.conformance.drawing`)."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from sqlalchemy import Connection, bindparam, delete, literal_column, select, update

from gateway.conformance.drawing import is_over
from gateway.conformance.finding_rows import (
    close_findings,
    earliest_false,
    new_finding,
    standing_of_record,
    write_findings,
)
from gateway.conformance.finding_tables import CHALLENGES, DRAWS, UNANSWERED
from gateway.conformance.model import ATTESTATION_FALSE, Challenge, Difference
from gateway.conformance.policy import ConformancePolicy
from gateway.conformance.revisions import revisions_of
from gateway.conformance.served_since import ServedSince, served_since
from gateway.conformance.standings import count_challenges, touch
from gateway.conformance.told_missing import keep_told_missing, told_missing
from gateway.storage.bounded import LONG_SECONDS, bounded
from gateway.storage.engines import Engines, reading
from gateway.storage.sweeping import Sweeping
from gateway.storage.writes import wrote

_AT_ONCE: Final = 500
_KEPT_SECONDS: Final = 400 * 86_400
_SWEEP_SECONDS: Final = 86_400
_C = CHALLENGES.c
_COLUMNS: Final = [CHALLENGES.c[name] for name in Challenge._fields]
_LATE: Final = select(*_COLUMNS).where(UNANSWERED, _C.deadline <= bindparam("now")).limit(_AT_ONCE)


class Answer(NamedTuple):
    """A copy as an operator shows it: its `facts.copy_digest` and SHA-256 of its content,
    both b"" where it holds none any more. There are several of one challenge where it holds several
    copies of the record."""

    challenge_id: str
    copy_digest: bytes
    content_digest: bytes


class Judged(NamedTuple):
    """What came of answers: how many copies are as they should be, those served to the
    operator again since they were asked for apart, and the findings opened."""

    confirmed: int
    refreshed: int
    finding_ids: Sequence[str]


@dataclass(slots=True)
class _Done:
    """What came of answers as they are judged; see `Judged`. ``forgotten`` are revisions told
    missing that were shown."""

    confirmed: int = 0
    refreshed: int = 0
    opened: list[str] = field(default_factory=list[str])
    forgotten: list[int] = field(default_factory=list[int])


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

        Of several copies for one challenge it is enough that one is as it should be: a record's
        former revision may be held until its deadline, and other regions name records alike. A copy
        that differs, is not held or comes too late makes a finding, unless its
        disclosure has ended meanwhile. One that is as it should be rectifies what was found
        when it was asked for before; where the ledger has served it since it was asked for,
        that is counted apart and rectifies nothing.
        """
        by_id: defaultdict[str, list[Answer]] = defaultdict(list)
        for each in answers:
            by_id[each.challenge_id].append(each)
        while (judged := self._judge(operator_id, by_id, now)) is None:
            # The operator has attested meanwhile, and told other copies missing.
            pass
        return judged

    def _judge(
        self, operator_id: str, by_id: Mapping[str, Sequence[Answer]], now: int
    ) -> "Judged | None":
        """Judge answers; None where what the operator told missing has changed meanwhile."""
        query = select(*_COLUMNS).where(
            _C.operator_id == operator_id, UNANSWERED, _C.challenge_id.in_(by_id)
        )
        with reading(self._evidence) as connection:
            asked = [Challenge(*row) for row in connection.execute(query)]
            told = told_missing(connection, operator_id)
        # The ledger is looked at before anything is locked: it is long, and others write too.
        ended = self._ended({each.revision_sequence for each in asked}, now)
        right = [each for each in asked if _is_right(each, by_id[each.challenge_id], now)]
        served = served_since(self._records, operator_id, right, told)
        done = _Done()
        with bounded(self._evidence, LONG_SECONDS) as connection:
            touch(connection, operator_id, now)
            present = told_missing(connection, operator_id)
            if present[1:] != told[1:] or not np.array_equal(present.sequences, told.sequences):
                return None
            for challenge in (Challenge(*row) for row in connection.execute(query).all()):
                answers = by_id[challenge.challenge_id]
                sequence = challenge.revision_sequence
                if _is_right(challenge, answers, now):
                    self._confirm(connection, challenge, served[sequence], now, done)
                elif sequence in ended:
                    _close(connection, challenge, now)
                else:
                    done.opened += self._find(connection, challenge, answers[-1], now)
            if done.forgotten:
                forgotten = np.isin(told.sequences, np.array(done.forgotten, np.int64))
                left = told._replace(sequences=told.sequences[~forgotten])
                keep_told_missing(connection, operator_id, left)
            count_challenges(
                connection, operator_id, confirmed=done.confirmed, refreshed=done.refreshed
            )
        return Judged(done.confirmed, done.refreshed, done.opened)

    def expire(self, now: int) -> bool:
        """Find what was not shown by ``now``; tell whether there may be more."""
        with reading(self._evidence) as connection:
            late = [Challenge(*row) for row in connection.execute(_LATE, {"now": now})]
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
        with bounded(self._evidence) as connection:
            of_old = DRAWS.c.challenge_id.in_(select(_C.challenge_id).where(*old))
            drawn = delete(DRAWS).where(of_old).returning(*DRAWS.primary_key)
            wrote(connection, DRAWS, connection.execute(drawn).all())
            gone = delete(CHALLENGES).where(*old).returning(_C.challenge_id)
            wrote(connection, CHALLENGES, connection.execute(gone).all())

    def _ended(self, sequences: Collection[int], now: int) -> frozenset[int]:
        with reading(self._records) as connection:
            return frozenset(
                each.sequence for each in revisions_of(connection, sequences) if is_over(each, now)
            )

    def _confirm(
        self,
        connection: Connection,
        challenge: Challenge,
        served: ServedSince,
        now: int,
        done: "_Done",
    ) -> None:
        """Close a challenge whose copy was shown right. That rectifies, unless the operator was
        served the copy again since it was asked for. It is a finding where the operator has
        told since that it holds none, and was served none."""
        _close(connection, challenge, now, confirmed=not served.since, refreshed=served.since)
        done.refreshed += served.since
        done.confirmed += not served.since
        before = standing_of_record(
            connection, challenge.operator_id, challenge.record_id, ATTESTATION_FALSE
        )
        if before and served.since:
            return
        close_findings(connection, before, now)
        if not served.held_back:
            return
        if before:
            done.forgotten.append(challenge.revision_sequence)
        else:
            done.opened.append(self._open(connection, challenge, challenge.copy_digest, b"", now))

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
            self._policy,
            challenge.operator_id,
            false,
            challenge.attestation_id,
            now,
            # By when the untruth was told: it takes days to be found.
            earliest_false(
                connection,
                challenge.operator_id,
                challenge.issued_at - self._policy.repeated_seconds,
                now,
            ),
        )
        write_findings(connection, [finding])
        return finding.finding_id


def _is_right(challenge: Challenge, answers: Iterable[Answer], now: int) -> bool:
    """Tell whether a copy is shown in time as it is disclosed."""
    shown = (each.copy_digest for each in answers)
    return now < challenge.deadline and challenge.copy_digest in shown


def _close(
    connection: Connection,
    challenge: Challenge,
    now: int,
    *,
    confirmed: bool = False,
    refreshed: bool = False,
    finding_id: str = "",
) -> None:
    connection.execute(
        update(CHALLENGES)
        .where(_C.challenge_id == challenge.challenge_id)
        .values(closed_at=now, confirmed=confirmed, refreshed=refreshed, finding_id=finding_id)
    )
    wrote(connection, CHALLENGES, [(challenge.challenge_id,)])
