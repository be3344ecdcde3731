"""G3 as a whole: any history of asks, answers, ends, clocks and retries serves what a plain
model of consents serves, and nothing else."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine

from consent.model import ONCE, TIMES_PER_DAY, Actor, Consent
from consent.rules import ConsentAsk, Cover, Gap, cover
from consent.sql import SqlConsents
from consent.states import GRANTED, PAUSED, Move
from creditgate.refusal import Refused
from creditgate.v1.consent_service_pb2 import ConsentState
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.meter.ledger import UsageLedger
from gateway.meter.model import Charged, NotCharged, Outcome, Replayed, Stale, UsageClaim
from tests.clock import StandingClock
from tests.consent.world import EVALUATION, MODES, PURPOSE, act, asked, consent, terms
from tests.examples import rarely_on_postgresql
from tests.meter.plain_consents import MOST_A_DAY, Paid, Read, Told
from tests.meter.world import DAY, MIDNIGHT, REPLAY_SECONDS, claim, committed, stored, with_lines
from tests.people import COMPANY
from tests.receipts import RECEIPTS

_R = RefusalReason
BEGIN = MIDNIGHT - 5
CONSENTS = 5
WHICH = st.integers(0, CONSENTS - 1)


class ConsentMachine(RuleBasedStateMachine):
    """Subjects, an operator that is suspended and reinstated, the clerk, clocks, retries.

    Each run has an operator of its own in one store.
    """

    engine: Engine
    runs: Iterator[int]

    def __init__(self) -> None:
        super().__init__()
        self.operator = f"op-{next(self.runs)}"
        self.clock = StandingClock(BEGIN)
        self.consents = SqlConsents(self.engine)
        self.ledger = UsageLedger(with_lines(self.engine), self.clock, RECEIPTS)
        self.told: list[Told] = []
        self.paid: dict[str, Paid] = {}
        self.reads: list[Read] = []
        self.made = 0

    @initialize()
    def begin_with_one_of_each(self) -> None:
        """Begin with a granted consent of each access mode."""
        for mode in MODES:
            self._ask(mode, 0, 3 * DAY, DAY, DAY)
            self._move(self.told[-1], "grant")

    def teardown(self) -> None:
        """Give back the ledger's connection."""
        self.ledger.close()

    @precondition(lambda self: len(self.told) < CONSENTS)
    @rule(
        mode=st.sampled_from(MODES),
        begins=st.sampled_from([0, 4]),
        lasts=st.sampled_from([9, DAY]),
        answer_within=st.sampled_from([2, 2 * DAY]),
        life=st.sampled_from([3, 30, 30 * DAY]),
    )
    def ask(self, mode: int, begins: int, lasts: int, answer_within: int, life: int) -> None:
        """Ask for another consent."""
        self._ask(mode, begins, lasts, answer_within, life)

    @rule(
        which=WHICH,
        move=st.sampled_from(["grant", "refuse", "revoke", "pause", "resume"]),
    )
    def move(self, which: int, move: Move) -> None:
        """Let somebody change a consent, whether it allows that or not."""
        self._move(self.told[which % len(self.told)], move)

    @rule(moves=st.sampled_from([("pause",), ("resume",), ("pause", "resume")]))
    def suspend_or_reinstate(self, moves: tuple[Move, ...]) -> None:
        """Do to all of the operator's consents what its suspension or reinstatement does."""
        for move in moves:
            state = GRANTED if move == "pause" else PAUSED
            for consent_id in self.consents.in_state(self.operator, [state], after="", limit=9):
                (told,) = [each for each in self.told if each.consent_id == consent_id]
                self._move(told, move)

    @rule()
    def write_down_what_is_over(self) -> None:
        """Do what the clerk does."""
        mine = {told.consent_id: told for told in self.told}
        for consent_id in self.consents.due(self.clock.at, 1_000):
            if consent_id in mine:
                self.consents.settle(consent_id, self.clock.at)
                mine[consent_id].write_down(self.clock.at)
        for told in self.told:
            assert told.end or told.state(self.clock.at) not in ("EXPIRED", "EXHAUSTED")

    @rule(which=WHICH)
    def look(self, which: int) -> None:
        """Do what the clerk does now and then: see whether a data life is over."""
        told = self.told[which % len(self.told)]
        self.consents.look(told.consent_id, self.clock.at)
        told.look(self.clock.at)

    @rule(
        which=WHICH,
        request_ids=st.lists(st.sampled_from(["r-1", "r-2", "r-3", "r-4"]), min_size=1, max_size=3),
        entries=st.sampled_from([(), (1,)]),
    )
    def read(self, which: int, request_ids: list[str], entries: tuple[int, ...]) -> None:
        """Read a consent for some requests; their answers are committed later."""
        told, now = self.told[which % len(self.told)], self.clock.at
        found = self._looked_at(told)
        ask = ConsentAsk(self.operator, COMPANY, frozenset({EVALUATION}), PURPOSE, now)
        opened = cover(found, ask)
        assert isinstance(opened, Cover) == self._opens(told, now)
        if isinstance(opened, Gap):
            assert opened.reason == self._reason(told, now)
            return
        for request_id in request_ids:
            self.made += 1
            self.reads.append(
                Read(self._claim(request_id, found, opened.until, entries), told, told.changes)
            )

    @rule(which=WHICH)
    def tell(self, which: int) -> None:
        """Tell somebody how a consent stands: an end that was told stays, whatever the clock."""
        told = self.told[which % len(self.told)]
        found = self._looked_at(told)
        assert ConsentState.Name(found.state) == f"CONSENT_STATE_{told.state(self.clock.at)}"

    @rule(which=WHICH)
    def acknowledge(self, which: int) -> None:
        """Let the operator say that it has removed what it had to."""
        told = self.told[which % len(self.told)]
        looked_at = replace(told)
        looked_at.look(self.clock.at)
        if looked_at.owed_to is None:
            with pytest.raises(Refused) as caught:
                self.consents.acknowledge(
                    told.consent_id, self.operator, self.clock.at, "client", self.clock.at
                )
            assert caught.value.reason == _R.REFUSAL_REASON_RESOURCE_NOT_FOUND
        elif self.clock.at >= looked_at.owed_to:
            told.look(self.clock.at)
            new = self.consents.acknowledge(
                told.consent_id, self.operator, self.clock.at, "client", self.clock.at
            )
            assert new != told.acknowledged
            told.acknowledged = True

    @rule(at_once=st.booleans())
    def commit(self, at_once: bool) -> None:
        """Commit the answers that wait, in one group."""
        reads, self.reads = self.reads, []
        now = self.clock.at
        stood = [(read.told.end, read.told.paused) for read in reads]
        expected = [self._judge(read, now) for read in reads]
        outcomes = committed(self.ledger, [read.claim for read in reads], at_once=at_once)
        assert outcomes == expected
        for read, outcome, (end, paused) in zip(reads, outcomes, stood, strict=True):
            if isinstance(outcome, Charged):
                assert not end
                assert not paused
                assert now < read.told.ends
                assert read.claim.served_at >= read.told.begins
            if isinstance(outcome, Replayed):
                assert end in ("", "EXHAUSTED")
                assert not (end and read.told.acknowledged)

    @rule(seconds=st.sampled_from([1, 2, 5, REPLAY_SECONDS, DAY, -1, -5, -DAY]))
    def set_clock(self, seconds: int) -> None:
        """Let time pass, or set the clock back."""
        self.clock.at += seconds

    @invariant()
    def each_consent_is_as_told(self) -> None:
        """The store says what happened, and a consent was never used more than it allows."""
        ids = [told.consent_id for told in self.told]
        kept = self.consents.readable(ids)
        removals, uses = self.consents.removals(ids), self.consents.uses(ids)
        for told in self.told:
            written = kept[told.consent_id]
            state = told.end or (
                "REQUESTED" if not told.granted else "PAUSED" if told.paused else "GRANTED"
            )
            assert ConsentState.Name(written.state) == f"CONSENT_STATE_{state}"
            assert written.version == told.changes
            assert (written.ended_at or 0) == told.ended_at
            removal = removals.get(told.consent_id)
            assert (removal and removal.deadline) == told.deadline
            assert (removal and removal.report_by) == told.report_by
            assert bool(removal and removal.acknowledged_at is not None) == told.acknowledged
            use = uses.get(told.consent_id)
            assert (use.answered if use else 0) == len(told.served)
            assert (use.last_at if use else None) == max(told.copied, default=None)
            days = [at // DAY for at in told.served]
            if told.mode == ONCE:
                assert len(days) <= 1
            if told.mode == TIMES_PER_DAY:
                assert all(days.count(day) <= MOST_A_DAY for day in days)

    @invariant()
    def the_ledger_names_the_consents_relied_on(self) -> None:
        """Each answer is traced to its consent (G7)."""
        rows = stored(self.engine, self.operator)
        assert len(rows) == len(self.paid) == sum(len(told.served) for told in self.told)
        for told in self.told:
            named = [row for row in rows if row.consent == f"consents/{told.consent_id}"]
            assert sorted(row.served_at for row in named) == sorted(told.served)

    def _ask(self, mode: int, begins: int, lasts: int, answer_within: int, life: int) -> None:
        now = self.clock.at
        made = consent(
            operator_id=self.operator,
            requested_at=now,
            answer_until=now + answer_within,
            terms=terms(
                access_mode=mode,
                times_per_day=MOST_A_DAY if mode == TIMES_PER_DAY else 0,
                valid_from=now + begins,
                valid_until=now + begins + lasts,
                data_life_seconds=life,
            ),
        )
        self.consents.add(made, asked(now))
        agreed = made.terms
        self.told.append(
            Told(
                made.consent_id,
                mode,
                agreed.valid_from,
                agreed.valid_until,
                made.answer_until,
                life,
            )
        )

    def _move(self, told: Told, move: Move) -> None:
        by = Actor.ADMINISTRATOR if move in ("pause", "resume") else Actor.SUBJECT
        if told.move(move, self.clock.at):
            self.consents.move(told.consent_id, move, act(self.clock.at, by))
        else:
            with pytest.raises(Refused) as caught:
                self.consents.move(told.consent_id, move, act(self.clock.at, by))
            assert caught.value.reason == _R.REFUSAL_REASON_STATE_CONFLICT

    def _looked_at(self, told: Told) -> Consent:
        """Return a consent as whoever tells of it must find it, and know that it was told."""
        found = self.consents.get(told.consent_id)
        assert found is not None
        told.write_down(self.clock.at)
        (settled,) = self.consents.settled([found], self.clock.at)
        return settled

    def _claim(
        self, request_id: str, relied_on: Consent, until: int, entries: tuple[int, ...]
    ) -> UsageClaim:
        return claim(
            request_id,
            entries,
            lines=(),
            operator_id=self.operator,
            payload_digest=relied_on.consent_id.encode(),
            decision_id=f"d-{self.made}",
            served_at=self.clock.at,
            good_until=until,
            relies_on=relied_on,
        )

    @staticmethod
    def _opens(told: Told, now: int) -> bool:
        """Whether calls are let through as far as the ledger: a retry is known only there."""
        standing = told.granted and not told.paused and told.end in ("", "EXHAUSTED")
        return standing and told.begins <= now < told.ends

    @staticmethod
    def _reason(told: Told, now: int) -> int:
        """Why a call is not let through: what was written, or else what time has done."""
        end = told.end
        if end in ("", "EXHAUSTED") and told.granted and now < told.begins and not told.paused:
            return _R.REFUSAL_REASON_CONSENT_NOT_BEGUN
        if not end and told.granted and now >= told.ends:
            return _R.REFUSAL_REASON_CONSENT_EXPIRED
        return {
            "REQUESTED": _R.REFUSAL_REASON_CONSENT_NOT_GRANTED,
            "REFUSED": _R.REFUSAL_REASON_CONSENT_NOT_GRANTED,
            "REVOKED": _R.REFUSAL_REASON_CONSENT_REVOKED,
            "EXPIRED": _R.REFUSAL_REASON_CONSENT_EXPIRED,
            "EXHAUSTED": _R.REFUSAL_REASON_CONSENT_EXHAUSTED,
            "PAUSED": _R.REFUSAL_REASON_CONSENT_PAUSED,
        }[end or ("PAUSED" if told.paused else told.state(now))]

    def _judge(self, read: Read, now: int) -> Outcome:
        """Return what must become of a claim, and keep it if it is charged."""
        made, told = read.claim, read.told
        if now >= told.ends or told.changes != read.changes:
            return Stale()
        earlier = self.paid.get(made.request_id)
        if earlier is not None:
            same = earlier.digest == made.payload_digest
            age = made.served_at - earlier.served_at
            repeats = same and age < REPLAY_SECONDS
            if repeats and earlier.entries < len(made.entries):
                return NotCharged(_R.REFUSAL_REASON_REQUEST_SUPERSEDED)
            if repeats and told.acknowledged and told.end:
                return NotCharged(_R.REFUSAL_REASON_CONSENT_EXHAUSTED)
            if repeats:
                return Replayed(earlier.decision_id)
            life_over = same and age >= told.life
            return NotCharged(_R.REFUSAL_REASON_REQUEST_ID_REUSED, life_over=life_over)
        today = [at for at in told.served if at // DAY == made.served_at // DAY]
        if told.mode == ONCE and told.served:
            return NotCharged(_R.REFUSAL_REASON_CONSENT_EXHAUSTED)
        if told.mode == TIMES_PER_DAY and len(today) >= MOST_A_DAY:
            return NotCharged(_R.REFUSAL_REASON_CONSENT_EXHAUSTED, DAY - made.served_at % DAY)
        told.served.append(made.served_at)
        told.copied += [made.served_at] * bool(made.entries)
        self.paid[made.request_id] = Paid(
            made.payload_digest, made.served_at, made.decision_id, len(made.entries)
        )
        return Charged(0)


@rarely_on_postgresql
@pytest.mark.parametrize(
    "most", [pytest.param(10, id="few"), pytest.param(100, id="many", marks=pytest.mark.soak)]
)
def test_any_history_is_served_only_under_a_live_consent_and_no_more_than_it_allows(
    records_engine: Engine, most: int
) -> None:
    class Machine(ConsentMachine):
        engine = records_engine
        runs = count()

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=most,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
