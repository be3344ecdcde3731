"""What an operator may ask of other regions, decided here before anything is asked there.

The same rules as for this gateway's own records (guarantee G3): licence, grants, purpose, items,
the token's details, brakes, prices, and the consent relied on. The question itself is metered
as a use without records, so that it is decided once for all its retries, is in the decision log
(G7), counts against limits of rates, and uses up a consent that is for one use. What regions give
is charged by `gateway.federation.asking.charging`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final, NamedTuple

from consent.model import GRADE, NAME_PREFIX, Consent
from consent.relied import Relied
from consent.rules import Gap
from creditgate.refusal import Refused
from creditgate.v1.credit_record_service_pb2 import Receipt
from creditgate.v1.disclosure_proof_pb2 import ProofKind
from creditgate.v1.federated_record_service_pb2 import QueryRegionsRequest
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from gateway.authenticate.token import require_standing
from gateway.authorise.bounds import Ground, subject_bounds
from gateway.authorise.consents import ConsentLookup
from gateway.authorise.gate import Gate, Passage
from gateway.authorise.opening import Openings, gap_refusal, require_alone, require_no_consent
from gateway.authority.feed import AuthorityFeed
from gateway.authority.view import AuthorityView
from gateway.clock import Clock, micros_of
from gateway.disclose.model import Line
from gateway.federation.asking.claims import ChargedAs, Decided, claim_of, receipt_of
from gateway.meter.committer import GroupCommitter
from gateway.meter.decisions import DecisionIds
from gateway.meter.model import Charged, NotCharged, Replayed, TooFast, UsageClaim
from gateway.respond.answer import require_prices
from gateway.respond.left import tell_left
from gateway.respond.rates import KnownOver, debits_of, too_fast
from gateway.respond.refusals import changing, not_charged
from gateway.respond.request import payload_digest
from gateway.respond.use import Use
from gateway.usage.unsigned import UnsignedUse
from operators.decision import Ask

SCOPE: Final = "credit.regions:query"
_ATTEMPTS: Final = 8
_GOOD_SECONDS: Final = 2
# The records asked for are of no revenue line of this gateway's.
_NO_LINES: Final[Mapping[int, Line]] = MappingProxyType({})


BeforeCounted = Callable[[Decided, str], Awaitable[bool]]
"""Is told what was decided of a question, and by which decision, before it is charged by that; tells
whether it is a use of its consent."""


class Admitted(NamedTuple):
    """A question that was metered: its receipt."""

    receipt: Receipt

    @property
    def decision_id(self) -> str:
        """The decision behind it."""
        return self.receipt.decision_id


class Deciding:
    """Decides and meters questions; one event loop's own."""

    def __init__(
        self,
        feed: AuthorityFeed,
        consents: ConsentLookup,
        committer: GroupCommitter,
        decisions: DecisionIds,
        clock: Clock,
        replay_seconds: int,
        unsigned: UnsignedUse,
    ) -> None:
        self._feed = feed
        self._gate = Gate()
        self._openings = Openings()
        self._consents = consents
        self._committer = committer
        self._decisions = decisions
        self._clock = clock
        self._replay_seconds = replay_seconds
        self._unsigned = unsigned
        self._over = KnownOver(micros_of(clock))

    async def decided(
        self, use: Use, subjects: Sequence[str], charged: ChargedAs | None = None
    ) -> Decided:
        """Return what ``use`` may ask of ``subjects`` now; ``charged`` is what is about to be
        charged by it, None for what was charged already.

        Raises Refused as CreditRecordService does for its own records.
        """
        now = self._clock.now()
        view = self._feed.current()
        require_standing(use.revocable, view.revocations)
        ground = Ground(view, _NO_LINES, now)
        bounds = None
        if use.details:
            bounds = subject_bounds(self._gate, ground, use.ask, use.details, subjects, use.consent)
            passage = bounds.passage
        else:
            passage = self._gate.passage(view, _NO_LINES, use.ask, now)
        passage = _under_one(passage)
        if charged is not None:
            await self.require_agreed(passage.allow.operator_id, charged)
        require_prices(passage)
        consent = None
        if use.consent:
            consent = await self._consents.of(use.consent, now)
            self._openings.opening(consent, passage, subjects, use.purpose, now)
            require_alone(passage, subjects)
            _require_records(consent)
        else:
            require_no_consent(passage)
        return Decided(passage, bounds, _prices(passage), consent)

    async def require_agreed(self, operator_id: str, charged: ChargedAs) -> None:
        """Raise Refused USAGE_UNSIGNED where an operator must agree with its use first, unless
        this was charged before: a retry brings the receipt that it needs to agree."""
        await self._unsigned.require_new(operator_id, *charged)

    async def require(self, use: Use, subjects: Sequence[str]) -> None:
        """Decide anew, of what is as it is now: before each part is passed on (guarantee G4)."""
        self.forget(use)
        await self.decided(use, subjects)

    def forget(self, use: Use) -> None:
        """Decide by the consent that a use relies on as it is read anew."""
        if use.consent:
            self._consents.forget(use.consent.removeprefix(NAME_PREFIX))

    async def admitted(
        self, use: Use, subjects: Sequence[str], before: BeforeCounted
    ) -> tuple[Decided, Admitted]:
        """Decide a question and make it durable. Raises Refused, and what ``before`` raises."""
        for _ in range(_ATTEMPTS):
            decided = await self.decided(use, subjects, ChargedAs(use.request_id, 0))
            passage = decided.passage
            limits = passage.view.authority.limits.reaching(passage.allow.operator_id)
            debits = debits_of(limits, use, passage, subjects) if limits else ()
            over = self._over.refusal(debits)
            if over is not None and not await self._unsigned.charged_before.told(
                passage.allow.operator_id, use.request_id, 0
            ):
                raise too_fast(over, limits)
            decision_id = self._decisions.next()
            is_use = await before(decided, decision_id)
            claim = self._claim(use, decided, decision_id, len(subjects))
            if not is_use:
                claim = claim._replace(relies_on=None, asked_items=())
            outcome = await self._committer.charge(claim._replace(debits=debits))
            match outcome:
                case Charged(fee, usage, left):
                    if left is not None:
                        tell_left(left, limits)
                    receipt = receipt_of(claim, claim.decision_id, fee, usage)
                    return decided, Admitted(receipt)
                case Replayed(decision_id, usage):
                    again = receipt_of(claim, decision_id, 0, usage, replayed=True)
                    return decided, Admitted(again)
                case TooFast():
                    self._over.remember(outcome)
                    raise too_fast(outcome, limits)
                case NotCharged():
                    raise not_charged(outcome)
                case _:
                    self.forget(use)
        raise changing()

    def _claim(self, use: Use, decided: Decided, decision_id: str, asked: int) -> UsageClaim:
        now = self._clock.now()
        allow, consent = decided.passage.allow, decided.consent
        good_until = min(now + _GOOD_SECONDS, allow.stands_until)
        if consent is not None:
            good_until = min(good_until, consent.terms.valid_until)
        claim = claim_of(
            use,
            decided,
            ChargedAs(use.request_id, 0),
            decision_id,
            now,
            self._replay_seconds,
            good_until,
            self._standing(decided.passage.view, use.revocable),
        )
        return claim._replace(
            relies_on=None if consent is None else Relied.of(consent),
            asked_items=() if consent is None else _looked_for(decided.passage, consent),
            asked_subjects=asked,
        )

    def _standing(self, view: AuthorityView, revocable: frozenset[str]) -> Callable[[], bool]:
        holds, task = self._feed.holds, asyncio.current_task()
        assert task is not None, "questions are asked by calls"
        return lambda: holds(view, revocable) and not task.cancelling()


def use_of_question(caller: Caller, request: QueryRegionsRequest) -> Use:
    """Return the use that ``request`` of ``caller`` asks for.

    What does not change the answer is no part of the payload compared for idempotency; nor are the
    regions to ask, since a retry may be for one of them alone: each answers by itself.
    """
    compared = QueryRegionsRequest()
    compared.CopyFrom(request)
    compared.ClearField("region_deadline")
    compared.ClearField("every_region")
    compared.ClearField("regions")
    return Use(
        ask=Ask(
            client_id=caller.client_id,
            scope=SCOPE,
            token_scopes=caller.token_scopes,
            items=frozenset(request.items),
            purpose=request.purpose,
        ),
        details=caller.details,
        revocable=caller.revocable,
        request_id=request.request_id,
        purpose=request.purpose,
        consent=request.consent,
        digest=payload_digest(caller.client_id, compared, 1),
        answer_may_be_empty=True,
        in_parts=True,
        proof=ProofKind.PROOF_KIND_UNSPECIFIED,
        request_digest=b"",
    )


def _looked_for(passage: Passage, consent: Consent) -> tuple[str, ...]:
    """Return the items that are looked for under a consent: those asked for that need it."""
    return tuple(sorted(passage.consent_items & consent.terms.fields_by_item.keys()))


def _require_records(consent: Consent | None) -> None:
    """Raise Refused CONSENT_EXCEEDED for a consent to a grade: every region refuses it, and it would
    be used by a question that none can answer."""
    if consent is not None and consent.terms.answer_form == GRADE:
        raise gap_refusal(Gap(RefusalReason.REFUSAL_REASON_CONSENT_EXCEEDED, "answer_form"))


def _under_one(passage: Passage) -> Passage:
    """Return a passage that rests on one licence, for a region is shown one credential.

    Raises Refused ITEM_NOT_ALLOWED where no licence opens all of it by itself: an answer under
    one of them would look whole.
    """
    if passage.resting is None:
        return passage
    allow = passage.allow.alone()
    if allow is None:
        raise Refused(
            RefusalReason.REFUSAL_REASON_ITEM_NOT_ALLOWED,
            "Your licences open what is asked for apart from one another; name the items of one of"
            " them, and ask for the others in a call of their own.",
        )
    return replace(passage, allow=allow, resting=None)


def _prices(passage: Passage) -> dict[str, int]:
    """Return what one record of each item costs, for a passage whose items all have a price.

    Raises Refused ITEM_NOT_ALLOWED for an item that this gateway does not know itself.
    """
    prices: dict[str, int] = {}
    for code in passage.allow.items:
        if code not in passage.list_prices:
            raise Refused(
                RefusalReason.REFUSAL_REASON_ITEM_NOT_ALLOWED,
                "An item asked for is not in this gateway's catalogue; ListCatalogueItems lists"
                " them.",
            )
        price = passage.list_prices[code]
        assert price is not None, "a passage without prices lets nothing through"
        prices[code] = price
    return prices
