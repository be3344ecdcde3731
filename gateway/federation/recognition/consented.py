"""What of a document is recognised under the subject's consent alone (guarantees G3, G4, G7).

What its region does not disclose to everybody, or takes a consent here, whoever holds the document
was given for itself and for one purpose. It is accepted for an operator whom the subject has allowed
that item here, while it does; each time is a use of the consent, in the ledger, as an answer without
records. A statement cannot be taken back, so it is a short one.

Source: Personal Information Protection Law, articles 14, 15 and 23 (consent is specific, can be
withdrawn, and is asked for anew by whoever is handed the data).
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from consent.model import NAME_PREFIX, Consent
from consent.relied import Relied
from consent.rules import ConsentAsk, Gap, cover
from creditgate.recognition import OUTCOMES, RecognitionPart
from creditgate.refusal import Refused
from creditgate.v1.recognition_service_pb2 import RecognitionOutcome
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.authenticate.caller import Caller
from gateway.authorise.consents import ConsentLookup
from gateway.authorise.opening import gap_refusal
from gateway.authority.feed import AuthorityFeed
from gateway.clock import Clock
from gateway.federation.recognition.rules import Document
from gateway.meter.committer import GroupCommitter
from gateway.meter.decisions import DecisionIds
from gateway.meter.model import Charged, NotCharged, Replayed, UsageClaim
from gateway.meter.under_consent import RECOGNISED_PREFIX
from gateway.respond.in_time import keep_judged
from gateway.respond.refusals import not_charged
from gateway.usage.unsigned import UnsignedUse
from operators.model import Licence
from operators.recognition import MappedGrades, RecognitionRule
from operators.shapes import covers

CONSENTED_SECONDS: Final = 3_600
"""How long a statement of what takes a consent holds at most: so long after its end too."""
_GOOD_SECONDS: Final = 2
_EXCEEDED: Final = RefusalReason.REFUSAL_REASON_CONSENT_EXCEEDED
_STATED: Final = frozenset(
    OUTCOMES[each]
    for each in (
        RecognitionOutcome.RECOGNITION_OUTCOME_RECOGNISED,
        # The grade there is stated all the same.
        RecognitionOutcome.RECOGNITION_OUTCOME_GRADE_NOT_MAPPED,
    )
)


class UnderConsent(NamedTuple):
    """What is recognised under ``consent``: ``items`` here, by what ``licence``, before ``until``
    (seconds, UTC)."""

    consent: Consent
    items: tuple[str, ...]
    licence: Licence
    until: int


def consented_parts(
    document: Document,
    rule: RecognitionRule,
    parts: Iterable[RecognitionPart],
    takes_consent: Callable[[str], bool],
) -> Sequence[MappedGrades]:
    """Return what of ``parts`` is stated under a consent alone, by item here.

    ``takes_consent`` tells of an item here whether it is not public.
    """
    stated = {each.region_item for each in parts if each.outcome in _STATED}
    return [
        mapped
        for item, mapped in sorted(rule.items.items())
        if item in stated and (item in document.protected or takes_consent(mapped.item))
    ]


def required(
    consent: Consent | None,
    mapped: Sequence[MappedGrades],
    document: Document,
    codes: Collection[str],
    licences: Sequence[Licence],
    purpose: int,
    now: int,
) -> UnderConsent:
    """Return what ``consent`` opens of what ``document`` states, all of ``mapped``, to the operator
    of ``licences`` at ``now`` (seconds, UTC); ``codes`` are the divisions that is about.

    Raises Refused CONSENT_REQUIRED for None, and with the reasons of `consent.rules.cover`.
    """
    items = tuple(sorted({each.item for each in mapped}))
    if consent is None:
        raise Refused(
            RefusalReason.REFUSAL_REASON_CONSENT_REQUIRED,
            "The document states what is recognised under the subject's live consent alone; name"
            " one that it has given you here, or ask it for one.",
            metadata={"items": ",".join(items)},
        )
    operator_id = licences[0].operator_id
    asked = ConsentAsk(operator_id, document.subject, frozenset(items), purpose, now)
    covered = cover(consent, asked)
    if isinstance(covered, Gap):
        raise gap_refusal(covered)
    for each in mapped:
        fields = covered.fields_by_item[each.item]
        if not fields or (each.grade_field and each.grade_field not in fields):
            raise gap_refusal(Gap(_EXCEEDED, "items"))
    if not all(covers(covered.regions, code) for code in codes):
        raise gap_refusal(Gap(_EXCEEDED, "regions"))
    its = [
        each for each in licences if purpose in each.purposes and not each.items.isdisjoint(items)
    ]
    life_over = document.issued_at + consent.terms.data_life_seconds
    until = min(covered.until, life_over, now + CONSENTED_SECONDS)
    return UnderConsent(consent, items, (its or licences)[0], until)


class ConsentedUses:
    """Finds consents, and meters what is recognised under them; one event loop's own.

    ``replay_seconds`` is how long a request id answers retries.
    """

    def __init__(
        self,
        consents: ConsentLookup,
        committer: GroupCommitter,
        decisions: DecisionIds,
        unsigned: UnsignedUse,
        feed: AuthorityFeed,
        clock: Clock,
        replay_seconds: int,
    ) -> None:
        self._consents = consents
        self._committer = committer
        self._decisions = decisions
        self._unsigned = unsigned
        self._feed = feed
        self._clock = clock
        self._replay_seconds = replay_seconds

    async def consent(self, name: str) -> Consent | None:
        """Return the consent of a resource name, None for "" and where there is none."""
        return await self._consents.of(name, self._clock.now()) if name else None

    async def used(
        self,
        under: UnderConsent,
        caller: Caller,
        request_id: str,
        digest: bytes,
        purpose: Purpose.ValueType,
    ) -> bool:
        """Make it durable that a consent is used, once for all retries of a request; return False
        where the ground has moved: decide anew. Raises Refused where it may not be used."""
        now, view = self._clock.now(), self._feed.current()
        known_by = RECOGNISED_PREFIX + sha256(request_id.encode()).hexdigest()[:40]
        await self._unsigned.require_new(caller.operator_id, known_by, 0)
        holds, task = self._feed.holds, asyncio.current_task()
        assert task is not None, "documents are recognised by calls"
        consent, licence = under.consent, under.licence
        claim = UsageClaim(
            operator_id=caller.operator_id,
            client_id=caller.client_id,
            request_id=known_by,
            chunk=0,
            payload_digest=digest,
            licence=licence.number,
            purpose=purpose,
            decision_id=self._decisions.next(),
            served_at=now,
            disclosure_sequence=0,
            entries=b"",
            lines=(),
            daily_quota=licence.daily_record_quota,
            replay_seconds=min(self._replay_seconds, consent.terms.data_life_seconds),
            good_until=min(now + _GOOD_SECONDS, under.until),
            may_be_empty=True,
            stands=lambda: holds(view, caller.revocable) and not task.cancelling(),
            relies_on=Relied.of(consent),
            asked_items=under.items,
            asked_subjects=1,
        )
        match await self._committer.charge(claim):
            case Charged(judged_at=at) | Replayed(judged_at=at):
                keep_judged(at)
                return True
            case NotCharged() as refused:
                raise not_charged(refused)
            case _:
                self._consents.forget(consent.name.removeprefix(NAME_PREFIX))
                return False
