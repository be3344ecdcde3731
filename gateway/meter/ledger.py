"""The usage ledger: groups of claims become durable in one transaction.

In that transaction each claim is judged by what only the store can know: that its id
is new (or an honest retry), that nothing it would serve has ended since it was read,
that the consent it relies on stands and allows one more, and that quota and limits allow it. So
the instant of commit is the instant of serving: a correction, repair, withdrawal or
revocation committed before it is always seen.

What is charged gets its place in the operator's usage log there too, and a signed receipt of
it: where it cannot be signed nothing is charged.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final, NamedTuple

from sqlalchemy import Engine

from consent.relied import ConsentVersion
from creditgate.transparency.merkle import leaf_hashes
from gateway.clock import Clock, host_nanoseconds, micros_of
from gateway.failure_kind import failure_kind
from gateway.meter.holds import HoldKey
from gateway.meter.leaf import LineFields, detail_of, leaf_bytes
from gateway.meter.model import (
    AnswerKey,
    Charged,
    ConsentDay,
    NotCharged,
    Outcome,
    RefusalEntry,
    Replayed,
    Stale,
    Unwritable,
    UsageClaim,
    UsageRow,
    unpack_entries,
)
from gateway.meter.postgresql import PostgresLedgerStore
from gateway.meter.rates import Arrivals, RateCounts
from gateway.meter.receipts import ReceiptSigner, detailed
from gateway.meter.receipts import again as given_again
from gateway.meter.replays import Again
from gateway.meter.rules import NO_CONSENTS, Consents, Reckoning
from gateway.meter.sqlite import SqliteLedgerStore
from gateway.meter.store import LedgerStore, LedgerTransaction
from gateway.storage.sweeping import Sweeping

_PRUNE_SECONDS: Final = 1
# What is written while others wait: some four milliseconds. What a subject is asked about for may
# have been answered before, with as many entries as there are, and counts against limits of its own.
_MOST_AT_ONCE: Final = 128
_MOST_OF_THEM_AT_ONCE: Final = 1_024
_log = logging.getLogger(__name__)


class _Uses(NamedTuple):
    """Rows as they are in usage logs: the leaf of each, its hash, its detail."""

    leaves: list[bytes]
    hashes: list[bytes]
    details: list[bytes]


_NO_USES: Final = _Uses([], [], [])
_NOTHING: Final[frozenset[AnswerKey]] = frozenset()


class UsageLedger:
    """Writes claims and refusals on SQLite or PostgreSQL.

    Used by one thread at a time; several processes may have one each on one store.
    """

    def __init__(self, engine: Engine, clock: Clock, signer: ReceiptSigner) -> None:
        self._clock = clock
        self._micros = micros_of(clock)
        self._sweeping = Sweeping(_PRUNE_SECONDS)
        self._signer = signer
        self._lines = LineFields()
        self._store: LedgerStore = (
            SqliteLedgerStore(engine)
            if engine.dialect.name == "sqlite"
            else PostgresLedgerStore(engine)
        )
        driver = engine.dialect.loaded_dbapi
        # What a driver raises for what it is given, not for how the store does.
        self._faults_of_content: tuple[type[Exception], ...] = (
            driver.DataError,
            driver.IntegrityError,
            LookupError,
            OverflowError,
            TypeError,
            ValueError,
        )

    def commit(
        self, claims: Sequence[UsageClaim], refusals: Sequence[RefusalEntry] = ()
    ) -> list[Outcome]:
        """Make a group durable and return each claim's outcome, in order.

        Of a claim that is not Charged nothing is written. Raises what the store raises
        when it fails; what was written is unknown then, and a retry finds it out.
        """
        try:
            return self._write(claims, refusals)
        except self._faults_of_content as error:
            if len(claims) + len(refusals) == 1:
                _log.error("a usage entry cannot be written: %s", failure_kind(error))
                return [Unwritable() for _ in claims]
        # Something of the group cannot be written, and the rest must not suffer for it.
        outcomes: list[Outcome] = []
        for some_claims, some_refusals in _halves(claims, refusals):
            outcomes += self.commit(some_claims, some_refusals)
        return outcomes

    def begin_at_once(
        self, claims: Sequence[UsageClaim], refusals: Sequence[RefusalEntry] = ()
    ) -> list[Outcome] | None:
        """Write a group but for its last step, `finish`, where all until there waits for nobody and is
        soon done: for who must not wait. Return the outcomes, which hold from then on; None where
        nothing was written: then `commit` is to do it, and meets whatever failed.
        """
        if len(claims) > _MOST_AT_ONCE or _much(claims) > _MOST_OF_THEM_AT_ONCE:
            return None
        with suppress(Exception), self._store.at_once() as transaction:
            if transaction is not None:
                return self._outcomes(transaction, claims, refusals)
        return None

    def finish(self) -> None:
        """Make durable what was begun at once. Raises as `commit`; may be called by another thread."""
        self._store.commit()

    def close(self) -> None:
        """Give back what the store holds; a later commit takes it again."""
        self._store.close()

    def _write(
        self, claims: Sequence[UsageClaim], refusals: Sequence[RefusalEntry]
    ) -> list[Outcome]:
        with self._store.transaction(claims) as transaction:
            return self._outcomes(transaction, claims, refusals)

    def _outcomes(
        self,
        transaction: LedgerTransaction,
        claims: Sequence[UsageClaim],
        refusals: Sequence[RefusalEntry],
    ) -> list[Outcome]:
        # Who settles a delivery waits for this, and this for them.
        delivered = [claim for claim in claims if claim.delivery is not None]
        over = transaction.advance(delivered) if delivered else _NOTHING
        # Before the clock is read: a consent may have to be waited for.
        consents = _consents(transaction, claims)
        # Read here, with every lock held: what waited too long is not served.
        now, judged_at = self._clock.now(), host_nanoseconds()
        reckoning = Reckoning(
            now,
            _ended(transaction, claims),
            transaction.earlier(asking) if (asking := _asking(claims)) else (),
            transaction.used({claim.quota_day for claim in claims}, now) if claims else {},
            consents,
            self._arrivals(transaction, claims),
            over,
        )
        outcomes = [reckoning.judge(claim) if claim.stands() else Stale() for claim in claims]
        rows = _placed(transaction, reckoning.charged)
        uses = self._uses(transaction, rows)
        transaction.write(rows, uses.hashes, reckoning.grown, reckoning.relied, refusals)
        if again := _given_again(claims, outcomes):
            transaction.note_replays(again, now)
        given_back = _given_back(claims, outcomes)
        if given_back or reckoning.holds:
            transaction.hold(reckoning.holds, given_back, now)
        if (moved := reckoning.moved) is not None:
            self._set_rates(transaction, moved)
        return self._receipted(transaction, claims, outcomes, uses, judged_at)

    def _arrivals(
        self, transaction: LedgerTransaction, claims: Iterable[UsageClaim]
    ) -> Arrivals | None:
        """Return the counts that claims take of, None where none takes of any."""
        keys = {debit.key for claim in claims for debit in claim.debits}
        if not keys:
            return None
        known = transaction.rates(keys)
        return Arrivals(known.arrivals, self._micros(), known.owed)

    def _set_rates(self, transaction: LedgerTransaction, moved: RateCounts) -> None:
        transaction.set_rates(moved)
        if self._sweeping.due(self._clock.now()):
            operator_ids = {key.operator_id for key in moved.arrivals}
            transaction.prune_rates(operator_ids, self._micros())

    def _receipted(
        self,
        transaction: LedgerTransaction,
        claims: Sequence[UsageClaim],
        outcomes: Sequence[Outcome],
        charged: _Uses,
        judged_at: int,
    ) -> list[Outcome]:
        """Return the outcomes with when they were ``judged_at``, and the receipts of those charged, and of what those replayed, or
        refused as retries, were answered first."""
        asked = _retried(claims, outcomes) if len(charged.leaves) < len(claims) else {}
        answered = transaction.answered(asked.values()) if asked else []
        again = self._uses(transaction, answered)
        leaves = charged.leaves + again.leaves
        if not leaves:
            return [*outcomes]
        places = {row.answer_key: len(charged.leaves) + at for at, row in enumerate(answered)}
        marks = _marks(claims, outcomes, leaves, places) if asked else []
        signed = self._signer.receipts(leaves, charged.hashes + again.hashes, marks)
        receipts = bare = signed[: len(leaves)]
        repeated = iter(signed[len(leaves) :])
        details = charged.details + again.details
        if any(details):
            receipts = list(map(detailed, receipts, details))
        first = iter(receipts)
        whole: list[Outcome] = []
        for claim, outcome in zip(claims, outcomes, strict=True):
            if isinstance(outcome, Charged):
                outcome.receipt, outcome.judged_at = next(first), judged_at
                whole.append(outcome)
            elif isinstance(outcome, Replayed):
                receipt = receipts[places[claim.answer_key]] + next(repeated)
                whole.append(replace(outcome, receipt=receipt, judged_at=judged_at))
            elif isinstance(outcome, NotCharged) and outcome.repeats:
                # A refusal has room for no more.
                whole.append(replace(outcome, receipt=bare[places[claim.answer_key]]))
            else:
                whole.append(outcome)
        return whole

    def _uses(self, transaction: LedgerTransaction, rows: Sequence[UsageRow]) -> _Uses:
        if not rows:
            return _NO_USES
        lines = self._lines
        if lines.unknown(row.lines for row in rows):
            lines.learn(transaction.lines())
        fields = [lines.of(row.lines) for row in rows]
        details = list(map(detail_of, rows, fields))
        leaves = list(map(leaf_bytes, rows, fields, details))
        return _Uses(leaves, leaf_hashes(leaves), details)


def _much(claims: Sequence[UsageClaim]) -> int:
    """Return how much there is to do about claims: the most of their entries, subjects, or debits,
    of which each takes as long as two others."""
    entries = subjects = debits = 0
    for claim in claims:
        entries += len(claim.entries)
        subjects += claim.asked_subjects
        debits += len(claim.debits)
    return max(entries >> 3, subjects, 2 * debits)


def _given_again(claims: Sequence[UsageClaim], outcomes: Sequence[Outcome]) -> dict[Again, int]:
    """Return the answers that retries are given with records, what of them, and how often."""
    found: dict[Again, int] = {}
    for claim, outcome in zip(claims, outcomes, strict=True):
        if claim.entries and isinstance(outcome, Replayed):
            again = Again(claim.answer_key, claim.entries)
            found[again] = found.get(again, 0) + 1
    return found


def _marks(
    claims: Sequence[UsageClaim],
    outcomes: Sequence[Outcome],
    leaves: Sequence[bytes],
    places: Mapping[AnswerKey, int],
) -> list[bytes]:
    """Return what is signed of each retry, in order; ``places`` are those of first answers' leaves."""
    return [
        given_again(
            leaves[places[claim.answer_key]], claim.entries, claim.records_digest, claim.served_at
        )
        for claim, outcome in zip(claims, outcomes, strict=True)
        if isinstance(outcome, Replayed)
    ]


def _retried(
    claims: Sequence[UsageClaim], outcomes: Sequence[Outcome]
) -> dict[AnswerKey, UsageClaim]:
    """Return the claims that are retries of what was charged, whatever becomes of them."""
    return {
        claim.answer_key: claim
        for claim, outcome in zip(claims, outcomes, strict=True)
        if isinstance(outcome, Replayed) or (isinstance(outcome, NotCharged) and outcome.repeats)
    }


def _asking(claims: Sequence[UsageClaim]) -> Sequence[UsageClaim]:
    """Return those of the claims that are of answers, and not of room for one."""
    return [claim for claim in claims if claim.takes is None]


def _given_back(claims: Sequence[UsageClaim], outcomes: Sequence[Outcome]) -> list[HoldKey]:
    """Return the holds that end with what is charged, or was before."""
    return [
        HoldKey(claim.operator_id, claim.gives_back)
        for claim, outcome in zip(claims, outcomes, strict=True)
        if claim.gives_back and isinstance(outcome, Charged | Replayed)
    ]


def _placed(transaction: LedgerTransaction, charged: Sequence[UsageClaim]) -> list[UsageRow]:
    """Return claims as rows, each at the next place of its operator's usage log."""
    if not charged:
        return []
    counts: dict[str, int] = {}
    for claim in charged:
        counts[claim.operator_id] = counts.get(claim.operator_id, 0) + 1
    places = transaction.place(counts)
    rows: list[UsageRow] = []
    for claim in charged:
        place = places[claim.operator_id]
        places[claim.operator_id] = place + 1
        rows.append(UsageRow.of(claim, place))
    return rows


def _consents(transaction: LedgerTransaction, claims: Iterable[UsageClaim]) -> Consents:
    """Return what has become of the consents that the claims rely on."""
    decided: set[ConsentVersion] = set()
    limited: set[ConsentDay] = set()
    used_up: set[str] = set()
    for claim in claims:
        relied = claim.relies_on
        if relied is None:
            continue
        decided.add(relied.version)
        if relied.limited:
            limited.add(claim.consent_day)
        if relied.exhausted:
            used_up.add(relied.version.consent_id)
    if not decided:
        return NO_CONSENTS
    # In this order: from then on nothing about these consents changes before the commit.
    changed = transaction.changed(decided)
    return Consents(
        changed,
        transaction.consent_uses(limited) if limited else {},
        transaction.removed(used_up) if used_up else frozenset(),
    )


def _ended(transaction: LedgerTransaction, claims: Iterable[UsageClaim]) -> set[int]:
    """Return which revisions of the claims have ended since they were read."""
    head = transaction.head() if claims else 0
    sequences = {
        sequence
        for claim in claims
        if claim.disclosure_sequence != head
        for sequence in unpack_entries(claim.entries)
    }
    return transaction.ended(sequences) if sequences else set()


def _halves(
    claims: Sequence[UsageClaim], refusals: Sequence[RefusalEntry]
) -> Sequence[tuple[Sequence[UsageClaim], Sequence[RefusalEntry]]]:
    if claims and refusals:
        return (claims, ()), ((), refusals)
    half = (len(claims) + len(refusals)) // 2
    return (claims[:half], refusals[:half]), (claims[half:], refusals[half:])
