"""The way of one answer: authorise → disclose → meter. Authentication is done before; each step
here is one call into its own module.
"""

import asyncio
from collections.abc import (
    Awaitable,
    Callable,
    Sequence,
)
from dataclasses import dataclass
from typing import Final

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.token import require_standing
from gateway.authorise.bounds import (
    Bounds,
    Ground,
    record_bounds,
    subject_bounds,
)
from gateway.authorise.consents import ConsentLookup
from gateway.authorise.gate import Gate, Passage
from gateway.authorise.opening import (
    Opening,
    opened,
    require_alone,
    require_no_consent,
    require_none_stopped,
)
from gateway.authority.feed import AuthorityFeed
from gateway.authority.view import AuthorityView
from gateway.clock import Clock, micros_of
from gateway.disclose.lookup import DisclosureLookup, Found
from gateway.disclose.model import Line
from gateway.meter.committer import GroupCommitter
from gateway.meter.decisions import DecisionIds
from gateway.meter.model import (
    Charged,
    NotCharged,
    Outcome,
    Replayed,
    TooFast,
    UsageClaim,
)
from gateway.respond.answer import (
    NO_MASKS,
    Selection,
    UnknownLine,
    replayed_by,
    require_prices,
    select_served,
    served_by,
    subjects_of,
)
from gateway.respond.claims import Claims
from gateway.respond.consented import ConsentedUse
from gateway.respond.in_time import keep_judged
from gateway.respond.left import tell_left
from gateway.respond.proofs import AnswerProofs, ProofLate
from gateway.respond.rates import KnownOver, debits_of, too_fast
from gateway.respond.receipted import Served
from gateway.respond.refusals import changing, fits, not_charged
from gateway.respond.use import Part, Use, licences_of
from gateway.telemetry.traces import step
from gateway.transparency.map_sets import SubjectAsk
from gateway.usage.unsigned import UnsignedUse
from operators.limits import Limit

_ATTEMPTS: Final = 8
# More than a receipt and the tail of a chunk can take, but for the receipt of use.
_RECEIPT_BYTES: Final = 256


@dataclass(frozen=True, slots=True)
class RecordLimits:
    """Sizes the record calls keep to: bytes of one message, subjects of one batch,
    subjects of one chunk, seconds a request id answers retries."""

    answer_bytes: int
    batch_subjects: int
    chunk_subjects: int
    replay_seconds: int

    @property
    def record_bytes(self) -> int:
        """Bytes that the records of one message may take."""
        return self.answer_bytes - _RECEIPT_BYTES


class AnswerPath:
    """Makes answers: what is asked for, as far as it may be served, metered."""

    def __init__(
        self,
        *,
        feed: AuthorityFeed,
        gate: Gate,
        consents: ConsentLookup,
        lookup: DisclosureLookup,
        committer: GroupCommitter,
        decisions: DecisionIds,
        clock: Clock,
        limits: RecordLimits,
        proofs: AnswerProofs,
        unsigned: UnsignedUse,
    ) -> None:
        self._feed = feed
        self._gate = gate
        self._consented = ConsentedUse(consents)
        self._lookup = lookup
        self._committer = committer
        self._claims = Claims(decisions, limits.replay_seconds)
        self._clock = clock
        self._limits = limits
        self._proofs = proofs
        self._unsigned = unsigned
        self._over = KnownOver(micros_of(clock))
        self._lines: dict[int, Line] = {}

    async def consenting(self, use: Use, subjects: Sequence[str]) -> str:
        """Return the subject of a batch whose consent it names, "" where it names none.

        Before anything is charged; raises as `Openings.opening` and `require_alone`.
        """
        if not use.consent:
            return ""
        ground = self._ground(use)
        passage = await self._agreed(use, ground, tuple(subjects[:1]))
        opening = await self._consented.opening(use, passage, tuple(subjects), ground.now)
        require_alone(passage, subjects)
        return opening.subject

    async def serve(
        self, use: Use, part: Part, read: Callable[[], Awaitable[Found]]
    ) -> tuple[Selection, Served]:
        """Return what may be served, metered.

        All is decided for one instant. Where the ledger finds that something has changed
        since, it is decided anew, for a later one.
        """
        patience = self._proofs.patience() if use.proof else 0.0
        read_anew = False
        for _ in range(_ATTEMPTS):
            ground = self._ground(use)
            passage, bounds = self._passage(use, ground, part.subjects)
            if self._unsigned.owes(passage.allow.operator_id):
                await self._require_new(use, passage, part.chunk)
            limits, over = self._limits_of(use, passage, part)
            if over is not None:
                await self._require_charged(use, passage, part.chunk, over, limits)
            whole, opening = passage, None
            if part.relies:
                opening = self._consented.remembered(
                    use.consent, passage, part.subjects, ground.now
                ) or await self._consented.opening(use, passage, part.subjects, ground.now)
            else:
                require_no_consent(passage)
            if use.answer_may_be_empty:
                require_none_stopped(whole, opening)
            asks: Sequence[SubjectAsk] = (
                self._proofs.begin(use, part.subjects, passage, bounds, opening)
                if use.proof
                else ()
            )
            step("authorised")
            found = everything = await read()
            step("disclosed")
            passage, found = _within(bounds, passage, found)
            try:
                selection = select_served(
                    opened(passage, found.revisions, opening, part.subjects),
                    passage,
                    ground.now,
                    opening.what.cuts if opening else NO_MASKS,
                )
            except UnknownLine:
                await self._read_lines()
                continue
            if use.proof:
                try:
                    selection = await self._proofs.proved(
                        use, asks, everything, selection, ground.now, patience
                    )
                except ProofLate:
                    continue
            fitting = fits(selection, self._limits.record_bytes, in_parts=use.in_parts)
            claim = self._claims.claim(
                use,
                part,
                passage,
                opening,
                found.head,
                selection,
                ground.now,
                self._standing_by(passage.view, use),
            )
            if opening is not None and not read_anew and not (fitting and claim.relies_on):
                # The ledger is not to judge it by the consent: no word of one that is remembered alone.
                read_anew = True
                self._consented.forget(use)
                continue
            if not fitting:
                claim = claim._replace(is_too_large=True)
            if limits or whole.resting is not None:
                claim = claim._replace(
                    # Not by what lets the record through that was found.
                    debits=debits_of(
                        limits,
                        use,
                        whole,
                        part.subjects or subjects_of(found.revisions, selection),
                        selection.lines,
                        by_name=part.subjects is None,
                    ),
                    rests_on=licences_of(whole, opening),
                )
            outcome = await self._committer.charge(claim)
            step("metered")
            if (served := self._served(outcome, claim, selection, limits)) is not None:
                return selection, served
            if isinstance(outcome, NotCharged):
                raise _refusal(outcome, whole, opening)
            if opening is not None:
                self._consented.forget(use)
        raise changing()

    async def operator_of(self, use: Use, subjects: tuple[str, ...]) -> str:
        """Return the id of the operator that a use about ``subjects`` is of; raises Refused."""
        passage = await self._agreed(use, self._ground(use), subjects)
        return passage.allow.operator_id

    def standing(self, use: Use) -> Callable[[], bool]:
        """Return what tells whether what is decided now may still be given."""
        return self._standing_by(self._feed.current(), use)

    def _served(
        self, outcome: Outcome, claim: UsageClaim, selection: Selection, limits: Sequence[Limit]
    ) -> Served | None:
        """Return what the receipt states, None where there is none; raises Refused
        RATE_EXCEEDED."""
        # Not by matching, which looks up what an outcome is made of for each call.
        if isinstance(outcome, Charged):
            keep_judged(outcome.judged_at)
            if outcome.left is not None:
                tell_left(outcome.left, limits)
            return served_by(claim, selection, outcome.fee, outcome.receipt)
        if isinstance(outcome, Replayed):
            keep_judged(outcome.judged_at)
            return replayed_by(claim, selection, outcome)
        if isinstance(outcome, TooFast):
            self._over.remember(outcome)
            raise too_fast(outcome, limits)
        return None

    def _ground(self, use: Use) -> Ground:
        now = self._clock.now()
        view = self._feed.current()
        require_standing(use.revocable, view.revocations)
        if use.footing is not None:
            use.footing.require()
        return Ground(view, self._lines, now)

    async def _agreed(self, use: Use, ground: Ground, subjects: tuple[str, ...]) -> Passage:
        """Return the passage of an operator that agrees with its use, or retries a request."""
        passage, _ = self._passage(use, ground, subjects)
        await self._require_new(use, passage, None)
        return passage

    def _limits_of(
        self, use: Use, passage: Passage, part: Part
    ) -> tuple[Sequence[Limit], TooFast | None]:
        """Return the limits of a passage that has prices, and how one of them is known to be used
        up, None where none is."""
        require_prices(passage)
        limits = passage.view.authority.limits.reaching(passage.allow.operator_id)
        if not limits:
            return limits, None
        debits = debits_of(limits, use, passage, part.subjects or ())
        return limits, self._over.refusal(debits)

    async def _require_charged(
        self, use: Use, passage: Passage, chunk: int, over: TooFast, limits: Sequence[Limit]
    ) -> None:
        """Raise Refused RATE_EXCEEDED unless a chunk was charged before: that takes no more of
        ``limits``."""
        asked = passage.allow.operator_id, use.request_id, chunk
        if not await self._unsigned.charged_before.told(*asked):
            raise too_fast(over, limits)

    async def _require_new(self, use: Use, passage: Passage, chunk: int | None) -> None:
        operator_id = passage.allow.operator_id
        await self._unsigned.require_new(operator_id, use.request_id, chunk)

    def _passage(
        self, use: Use, ground: Ground, subjects: tuple[str, ...] | None
    ) -> tuple[Passage, Bounds | None]:
        if not use.details:
            return self._gate.passage(ground.view, ground.lines, use.ask, ground.now), None
        bounds: Bounds
        if subjects is None:
            bounds = record_bounds(self._gate, ground, use.ask, use.details, use.consent)
        else:
            bounds = subject_bounds(self._gate, ground, use.ask, use.details, subjects, use.consent)
        return bounds.passage, bounds

    async def _read_lines(self) -> None:
        lines = await self._lookup.lines()
        # Calls that met the same new line read it one after the other; passages are
        # remembered for the object, so only the first of them changes it.
        if lines != self._lines:
            self._lines = lines

    def _standing_by(self, view: AuthorityView, use: Use) -> Callable[[], bool]:
        """Return what tells whether an answer decided by ``view`` may still be given.

        It holds nothing of the claim: a cycle would keep the answer until the collector comes.
        """
        holds, task = self._feed.holds, asyncio.current_task()
        assert task is not None, "answers are made by calls"
        revocable, footing = use.revocable, use.footing
        if footing is not None:
            stands = footing.stands
            return lambda: holds(view, revocable) and stands() and not task.cancelling()
        return lambda: holds(view, revocable) and not task.cancelling()


def _within(bounds: Bounds | None, passage: Passage, found: Found) -> tuple[Passage, Found]:
    """Return the passage of what was found within bounds, and that."""
    if bounds is None:
        return passage, found
    passage, within = bounds.applied(found.revisions)
    return passage, found._replace(revisions=within)


def _refusal(outcome: NotCharged, passage: Passage, opening: Opening | None) -> Refused:
    """Return the refusal of what the ledger did not charge; raises as `require_none_stopped`."""
    if outcome.reason == RefusalReason.REFUSAL_REASON_RECORD_NOT_DISCLOSED:
        # Of what is stopped or is not there, alike (G11).
        require_none_stopped(passage, opening)
    return not_charged(outcome)
