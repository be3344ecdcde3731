"""What becomes of claims: retries, consents, quotas, removals. Pure.

Sources: Google AIP-155 for request ids; guarantee G3 (nothing without a live consent that
needs one, and no more often than it allows), G5 (a retry charges nothing more), G9 (nothing that ended is served) and G11 (a refusal tells nothing of what exists).
The first rule that applies decides:

0. REQUEST_ID_REUSED: the delivery it belongs to was settled, or another call has it;
1. Stale: the claim is past ``good_until``, a revision it would serve has ended, or the
   consent it relies on has changed since it was decided by;
2. REQUEST_ID_REUSED: the id was used with another payload, or too long ago;
3. Replayed, or REQUEST_SUPERSEDED where more would be served than was paid for, or records under
   a consent that were not, or were and would not. A retry that is refused has the receipt of what
   was charged all the same;
4. RATE_EXCEEDED: a limit of rates would be exceeded by the least that an answer takes
   (`gateway.meter.rates`);
5. QUOTA_EXHAUSTED: the day's quota of the licence, or of the licences that open something
   of what was asked for, is used up (`gateway.meter.quotas`). Then answers without records are refused too, and
   until then none for how many it has, or they would tell for nothing which subjects have some: the
   last answer may go beyond the quota.
   What is held for answers of other regions under way (`gateway.meter.holds`) is not left;
6. CONSENT_EXHAUSTED: the consent relied on was used as often as it allows. A consent that
   is EXHAUSTED opens retries of what used it up, as far as 3 goes, until the removal of
   copies made under it was acknowledged, and nothing else;
7. RECORD_NOT_DISCLOSED: the answer is empty and may not be; ANSWER_TOO_LARGE: it would not be
   taken. They come last, so that every other reason is given just as for what is there, and fits.

In this order what depends on what was found comes behind what does not: a record that needs no
consent, or is of a licence that has quota left, is not told from one that is not there (G11).
What another region has metered is charged whatever 4 and 5 say. They are applied before that
region is asked, to the room for its answer: while anything is left and not held, that answer may
be asked for. Of limits, what is held counts as if it were taken. No answer has more than half of what
is left held, so that others, and this region's own, go on while it is under way.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import replace
from typing import Final, NamedTuple

from consent.model import ONCE, TIMES_PER_DAY
from consent.relied import ConsentVersion, Relied
from consent.rules import used_up
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.meter.holds import NO_USE, DayCount, DayUse, Hold, Room
from gateway.meter.model import (
    AnswerKey,
    Busy,
    Charged,
    ConsentDay,
    ConsentGrowth,
    ConsentUse,
    EarlierAnswer,
    Held,
    NotCharged,
    Outcome,
    QuotaDay,
    Replayed,
    Stale,
    UsageClaim,
    unpack_entries,
)
from gateway.meter.quotas import borne, left_after, next_day, nothing_left, quota_exhausted
from gateway.meter.rates import Arrivals, RateCounts

_REUSED = NotCharged(RefusalReason.REFUSAL_REASON_REQUEST_ID_REUSED)
_TOO_LATE = replace(_REUSED, repeats=True)
_LIFE_OVER = replace(_TOO_LATE, life_over=True)
_SUPERSEDED = NotCharged(RefusalReason.REFUSAL_REASON_REQUEST_SUPERSEDED, repeats=True)
_NOT_DISCLOSED = NotCharged(RefusalReason.REFUSAL_REASON_RECORD_NOT_DISCLOSED)
_TOO_LARGE = NotCharged(RefusalReason.REFUSAL_REASON_ANSWER_TOO_LARGE)
_TOO_LARGE_AGAIN = replace(_TOO_LARGE, repeats=True)
_NOTHING_LEFT = replace(_NOT_DISCLOSED, repeats=True)
_REMOVED = NotCharged(RefusalReason.REFUSAL_REASON_CONSENT_EXHAUSTED, repeats=True)
_NO_GROWTH: Final = ConsentGrowth(0)
_NOT_RELIED: Final = ConsentUse(ever=False, answered=0)


class Consents(NamedTuple):
    """Those that are not what they were decided by; the use of those that limit it, by day; ids
    of those that are used up and whose copies were acknowledged to be removed."""

    changed: Set[ConsentVersion]
    uses: Mapping[ConsentDay, ConsentUse]
    removed: Set[str] = frozenset()


NO_CONSENTS: Final = Consents(frozenset(), {})


class Reckoning:
    """The claims of one group, judged in order, each knowing those before it.

    ``now`` in seconds UTC; ``ended`` the revisions that ended since claims read them;
    ``earlier`` of each claim's request the answer of the same chunk and one other, as
    far as there are any; ``used`` what is taken of quotas on the claims' days; ``consents`` those
    that the claims rely on; ``arrivals`` the counts that claims take of, None
    where none does; ``over`` what the claims are of whose delivery is not their call's any more.
    """

    def __init__(
        self,
        now: int,
        ended: Set[int],
        earlier: Iterable[EarlierAnswer],
        used: Mapping[QuotaDay, DayUse],
        consents: Consents,
        arrivals: Arrivals | None = None,
        over: Set[AnswerKey] = frozenset(),
    ) -> None:
        self._now = now
        self._ended = ended
        self._used = used
        self._consents = consents
        self._arrivals = arrivals
        self._over = over
        self._answered: Counter[str] = Counter()
        self._held: Counter[str] = Counter()
        self._beyond: Counter[str] = Counter()
        # By operator and request.
        self._earlier: dict[tuple[str, str], dict[int, EarlierAnswer | UsageClaim]] = {}
        for answer in earlier:
            self._remember(answer)
        self.charged: list[UsageClaim] = []
        self._days: dict[QuotaDay, DayCount] = {}
        self.holds: list[Hold] = []
        """What is held from now on."""
        self.relied: dict[ConsentDay, ConsentGrowth] = {}
        """Consents that limit their use, as far as what is charged relies on them, by day."""

    @property
    def grown(self) -> dict[QuotaDay, DayCount]:
        """Days whose count grew, and what it is now."""
        return {day: count for day, count in self._days.items() if count.grew}

    @property
    def moved(self) -> RateCounts | None:
        """Counts of limits that were taken of, as they are now; None where none was."""
        arrivals = self._arrivals
        if arrivals is None or not arrivals.moved:
            return None
        return RateCounts(arrivals.moved, arrivals.owing)

    def judge(self, claim: UsageClaim) -> Outcome:
        """Return what becomes of the next claim; see the module."""
        if self._over and claim.answer_key in self._over:
            return _REUSED
        if self._now >= claim.good_until or (self._ended and self._serves_ended(claim)):
            return Stale()
        if claim.takes is not None:
            return self._hold(claim, claim.takes)
        relied = claim.relies_on
        if relied is not None and not self._stands(relied):
            return Stale()
        answers = self._earlier.get((claim.operator_id, claim.request_id))
        outcome = None if answers is None else _judge_retry(claim, answers)
        if outcome is None:
            return self._charge(claim, relied)
        if isinstance(outcome, Replayed):
            if relied is not None and relied.version.consent_id in self._consents.removed:
                # The operator said that it holds no copy: another would be owed by nobody.
                return _REMOVED
            if not (claim.entries or claim.may_be_empty):
                # Nothing is left of what was served once.
                return _NOTHING_LEFT
            if claim.is_too_large:
                return _TOO_LARGE_AGAIN
        return outcome

    def _serves_ended(self, claim: UsageClaim) -> bool:
        return not self._ended.isdisjoint(unpack_entries(claim.entries))

    def _stands(self, relied: Relied) -> bool:
        changed = self._consents.changed
        return relied.opens and not (changed and relied.version in changed)

    def _exhausted(self, relied: Relied, day: ConsentDay) -> bool:
        use = self._consents.uses.get(day, _NOT_RELIED)
        growth = self.relied.get(day, _NO_GROWTH)
        answered = int(use.ever) + self._answered[relied.version.consent_id]
        return relied.exhausted or used_up(
            relied.consent.terms, answered, use.answered + growth.answered
        )

    def _charge(self, claim: UsageClaim, relied: Relied | None) -> Outcome:
        count = claim.records
        taken, held = self._taken(claim)
        arrivals = self._arrivals if claim.debits else None
        if not claim.owed and arrivals is not None:
            too_fast = arrivals.refusal(claim.debits, held)
            if too_fast is not None:
                return too_fast
        if claim.rests_on is not None:
            resting = borne(claim, claim.rests_on, taken, held)
            if isinstance(resting, NotCharged):
                return resting
            claim = resting
        elif not claim.owed and (spent := nothing_left(claim, taken, held)) is not None:
            return spent
        limited = relied if relied is not None and relied.limited else None
        if limited is not None and self._exhausted(limited, claim.consent_day):
            by_day = limited.consent.terms.access_mode == TIMES_PER_DAY
            return NotCharged(
                RefusalReason.REFUSAL_REASON_CONSENT_EXHAUSTED, next_day(claim) if by_day else 0
            )
        if not (count or claim.may_be_empty):
            return _NOT_DISCLOSED
        if claim.is_too_large:
            return _TOO_LARGE
        if count:
            self._count(claim, taken, count)
        rates = arrivals.take(claim.debits) if arrivals is not None else ()
        left = left_after(claim, taken, rates)
        if limited is not None:
            self._rely(limited, claim)
        self.charged.append(claim)
        self._remember(claim)
        return Charged(claim.fee, left=left)

    def _hold(self, claim: UsageClaim, room: Room) -> Outcome:
        taken, held = self._taken(claim)
        used = taken.of(claim.licence)
        if used >= claim.daily_quota:
            return quota_exhausted(claim, used)
        left = claim.daily_quota - used
        if self._arrivals is not None and claim.debits:
            if (too_fast := self._arrivals.refusal(claim.debits)) is not None:
                return too_fast
            left = min(left, self._arrivals.left(claim.debits))
        hold = room.of(left - held, taken.beyond + self._beyond[claim.operator_id])
        if hold is None:
            return Busy()
        self.holds.append(hold)
        self._held[claim.operator_id] += hold.records
        self._beyond[claim.operator_id] += hold.beyond
        return Held()

    def _taken(self, claim: UsageClaim) -> tuple[DayCount, int]:
        """Return what is counted on a claim's day, by those before it too, and what is held."""
        day = claim.quota_day
        taken = self._days.get(day)
        if taken is None:
            taken = self._days[day] = DayCount(self._used.get(day, NO_USE))
        return taken, taken.held + self._held.get(claim.operator_id, 0)

    def _count(self, claim: UsageClaim, taken: DayCount, count: int) -> None:
        taken.grew = True
        if claim.borne:
            for share in claim.borne:
                if share.records:
                    taken.add(share.licence, sum(share.records))
        else:
            taken.add(claim.licence, count)

    def _rely(self, limited: Relied, claim: UsageClaim) -> None:
        day, last_at = claim.consent_day, claim.served_at
        before = self.relied.get(day, _NO_GROWTH)
        if not claim.opened_entries:
            # An answer without records that the consent opened leaves no copies to be removed.
            last_at = before.last_at
        elif before.last_at is not None:
            last_at = max(before.last_at, last_at)
        self.relied[day] = ConsentGrowth(
            before.answered + 1,
            last_at,
            claim.served_at if limited.consent.terms.access_mode == ONCE else None,
        )
        self._answered[limited.version.consent_id] += 1

    def _remember(self, answer: EarlierAnswer | UsageClaim) -> None:
        key = (answer.operator_id, answer.request_id)
        answers = self._earlier.get(key)
        if answers is None:
            self._earlier[key] = {answer.chunk: answer}
        else:
            answers[answer.chunk] = answer


def _judge_retry(
    claim: UsageClaim, answers: Mapping[int, EarlierAnswer | UsageClaim]
) -> Outcome | None:
    """Return what becomes of a claim whose request has ``answers``, by chunk; None where it is none
    of them again."""
    if any(answer.payload_digest != claim.payload_digest for answer in answers.values()):
        return _REUSED
    earlier = answers.get(claim.chunk)
    if earlier is None:
        return None
    # A clock set back makes a retry earlier than what it repeats: a retry all the same.
    age = claim.served_at - earlier.served_at
    if age >= claim.replay_seconds:
        relied = claim.relies_on
        is_over = relied is not None and age >= relied.consent.terms.data_life_seconds
        return _LIFE_OVER if is_over else _TOO_LATE
    if not set(unpack_entries(earlier.entries)).issuperset(unpack_entries(claim.entries)):
        return _SUPERSEDED
    if claim.entries and claim.under != earlier.under:
        # An item has become public, or is so no more: what was given under the consent would be given
        # otherwise, and the ledger tells of one way alone.
        return _SUPERSEDED
    return Replayed(earlier.decision_id, served_at=earlier.served_at)
