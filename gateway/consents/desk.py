"""The desk: the one place where consents are asked for, answered and ended.

Service, pages and the authorisation code flow all come here, so that each way makes the
same artefact by the same rules.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from secrets import token_hex
from threading import Lock
from typing import Final

from pydantic import ValidationError

from consent.changing import Act
from consent.model import DAY_SECONDS, Actor, Consent, ConsentNotice, ConsentTerms, Way
from consent.sql import SqlConsents
from consent.states import GRANTED, REQUESTED, REVOKED
from consent.subject_keys import SubjectKey
from creditgate.refusal import Refused, Violation, invalid
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authority.view import AuthorityView
from gateway.catalogue.faults import faults_of, path_of
from gateway.clock import Clock
from gateway.consents.receipt import ConsentReceipts
from gateway.consents.rules import (
    USUAL_ANSWER_SECONDS,
    Obstacle,
    beginning_faults,
    obstacle,
    pinned,
    terms_faults,
    timing_faults,
)

MOST_UNANSWERED: Final = 5
"""Most requests of one operator that one subject's inbox is left with to answer."""
MOST_A_DAY: Final = 20
"""Most requests of one operator to one subject's inbox within 24 hours."""
_RETRY_SECONDS: Final = 3_600
_MOST_HISTORY: Final = 100

_OBSTACLES: Final = {
    "over": "It was answered already, or the time to answer is over.",
    "operator": "Its operator may not act now.",
    "items": "An item asked for is not open by consent any more.",
    "licence": "The operator's licence does not cover what is asked for any more.",
}


@dataclass(frozen=True, slots=True)
class AskedConsent:
    """A consent as an operator asks for it.

    ``answer_until`` (seconds, UTC) None means the usual time. ``request_id`` makes a retry
    one (AIP-155), among the operator's requests.
    """

    operator_id: str
    client_id: str
    subject: str
    terms: ConsentTerms
    message: str
    language: str
    answer_until: int | None
    request_id: str
    way: Way


class ConsentDesk:
    """Changes consents. Calls block.

    ``end_grants`` ends what OAuth grants rest on a consent, given its resource name.
    """

    def __init__(
        self,
        consents: SqlConsents,
        receipts: ConsentReceipts,
        view: Callable[[], AuthorityView],
        clock: Clock,
        end_grants: Callable[[str], None],
    ) -> None:
        self._consents = consents
        self._receipts = receipts
        self._view = view
        self._clock = clock
        self._end_grants = end_grants
        # One request at a time, so that each is counted before the next is judged. Several
        # processes may let one through each at the same instant: a courtesy, not a right.
        self._asking = Lock()

    def ask(self, asked: AskedConsent) -> Consent:
        """Keep a request for consent and return it, REQUESTED.

        Items without fields mean all that the catalogue declares now, and are kept with their
        names. A retry returns what the first request made, as it stands. Whether anybody answers
        for the subject makes no difference (G11). Raises Refused INVALID_REQUEST by proto
        field, REQUEST_ID_REUSED, RATE_EXCEEDED where the subject has enough to answer,
        AUTHORITY_UNKNOWN.
        """
        now = self._clock.now()
        consent = _requested(asked, now)
        with self._asking:
            if not self._consents.was_asked(consent.operator_id, consent.request_id):
                view = self._view()
                found = timing_faults(consent.terms, consent.answer_until, now)
                found += terms_faults(view, consent.operator_id, consent.terms, now)
                # Asked for by code, they were told when it was pushed, and judged then.
                if consent.way == "inbox":
                    found += beginning_faults(consent.terms, now)
                if found:
                    raise invalid(*found)
                terms = pinned(view.catalogue, consent.terms)
                consent = consent.model_copy(update={"terms": terms})
                # Whoever asks by code asks somebody who is there: their inbox is left alone.
                if consent.way == "inbox":
                    self._require_room(consent, now)
            return self._consents.add(consent, Act(Actor.OPERATOR, asked.client_id, "", now))

    def pinned(self, terms: ConsentTerms) -> ConsentTerms:
        """Return ``terms`` as `ask` keeps them now: with the fields of each item named.

        Raises Refused AUTHORITY_UNKNOWN.
        """
        return pinned(self._view().catalogue, terms)

    def faults(self, operator_id: str, terms: ConsentTerms) -> list[Violation]:
        """Return what `ask` would refuse now of ``terms``, by proto field.

        Raises Refused AUTHORITY_UNKNOWN.
        """
        now = self._clock.now()
        timing = timing_faults(terms, now + USUAL_ANSWER_SECONDS, now)
        return timing + terms_faults(self._view(), operator_id, terms, now)

    def answerable(self, consent: Consent) -> Obstacle | None:
        """Return why ``consent`` cannot be granted now; None where it can.

        Raises Refused AUTHORITY_UNKNOWN.
        """
        now = self._clock.now()
        (settled,) = self._consents.settled([consent], now)
        return obstacle(self._view(), settled, now)

    def grant(
        self,
        consent_id: str,
        *,
        expected_version: int,
        signer: str,
        delegation: str,
        notice: ConsentNotice,
    ) -> Consent:
        """Grant a consent for its subject and return it with its receipt.

        ``signer`` is the principal who answers, ``delegation`` the id of the delegation it
        acts under, "" for the subject's own representative; ``notice`` what was shown. No
        consent is granted without a receipt. Raises Refused RESOURCE_NOT_FOUND;
        STATE_CONFLICT, whose metadata ``obstacle`` tells why (see `answerable`);
        ETAG_MISMATCH; TEMPORARILY_UNAVAILABLE where no receipt can be signed.
        """
        now = self._clock.now()
        consent = self._present(consent_id)
        hindrance = self.answerable(consent)
        if hindrance is not None:
            raise Refused(
                RefusalReason.REFUSAL_REASON_STATE_CONFLICT,
                "The consent cannot be granted. " + _OBSTACLES[hindrance],
                metadata={"obstacle": hindrance},
            )
        answer = {
            "signer": signer,
            "delegation": delegation,
            "notice": notice,
            "granted_at": now,
        }
        granted = consent.model_copy(
            update={**answer, "state": GRANTED, "version": consent.version + 1, "changed_at": now}
        )
        receipt = self._receipts.signed(
            granted, self._consents.histories([consent_id], limit=_MOST_HISTORY)[consent_id]
        )
        return self._consents.move(
            consent_id,
            "grant",
            Act(Actor.SUBJECT, signer, "", now),
            expected_version=expected_version,
            also={**answer, "receipt": receipt},
        )

    def refuse(
        self, consent_id: str, *, expected_version: int, signer: str, delegation: str
    ) -> Consent:
        """Refuse a consent for its subject, who owes no reason, and return it.

        Raises Refused RESOURCE_NOT_FOUND, STATE_CONFLICT, ETAG_MISMATCH.
        """
        return self._consents.move(
            consent_id,
            "refuse",
            Act(Actor.SUBJECT, signer, "", self._clock.now()),
            expected_version=expected_version,
            also={"signer": signer, "delegation": delegation},
        )

    def revoke(
        self,
        consent_id: str,
        *,
        actor: Actor,
        actor_id: str,
        reason: str,
        expected_version: int | None = None,
        delegation: str = "",
    ) -> Consent:
        """End a consent at once, with the grants that rest on it, and return it.

        ``delegation`` is the id of the one that a deputy ends it under, "" for all others.
        One that was revoked before is returned as it stands, so that repeating the call
        mends one that was cut off. One that time or use has ended is taken back too where
        records were served under it. Raises Refused RESOURCE_NOT_FOUND; STATE_CONFLICT for
        one that ended otherwise; ETAG_MISMATCH.
        """
        act = Act(actor, actor_id, reason, self._clock.now(), delegation)
        try:
            revoked = self._consents.move(
                consent_id, "revoke", act, expected_version=expected_version
            )
        except Refused as refused:
            if refused.reason != RefusalReason.REFUSAL_REASON_STATE_CONFLICT:
                raise
            revoked = self._present(consent_id)
            if revoked.state != REVOKED:
                raise
        self._end_grants(revoked.name)
        return revoked

    def countersign(self, consent_id: str, signature: str, signer: str) -> Consent:
        """Keep the subject's own signature of the receipt and return the consent.

        ``signature`` is a detached JWS by one of the subject's keys as they stand now, ``signer``
        the principal who brings it. The first one stands, and the same again changes nothing.
        Raises Refused RESOURCE_NOT_FOUND, INVALID_REQUEST for a signature that is not,
        STATE_CONFLICT where there is no receipt, or another signature of it.
        """

        def made_by(receipt: str, keys: Sequence[SubjectKey]) -> SubjectKey:
            return self._receipts.require_signature(receipt, signature, keys)

        act = Act(Actor.SUBJECT, signer, "", self._clock.now())
        return self._consents.sign(consent_id, signature, made_by, act)

    def _present(self, consent_id: str) -> Consent:
        consent = self._consents.get(consent_id)
        if consent is None:
            raise Refused(
                RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND, "There is no such consent."
            )
        return consent

    def _require_room(self, consent: Consent, now: int) -> None:
        unanswered, recent = self._consents.asked_of(
            consent.operator_id, consent.subject, now - DAY_SECONDS
        )
        if unanswered >= MOST_UNANSWERED:
            raise Refused(
                RefusalReason.REFUSAL_REASON_RATE_EXCEEDED,
                f"The subject has {MOST_UNANSWERED} of your requests to answer; let it do so.",
                retry_after=_RETRY_SECONDS,
            )
        if recent >= MOST_A_DAY:
            raise Refused(
                RefusalReason.REFUSAL_REASON_RATE_EXCEEDED,
                f"You asked this subject {MOST_A_DAY} times within a day; wait.",
                retry_after=_RETRY_SECONDS,
            )


def _requested(asked: AskedConsent, now: int) -> Consent:
    try:
        return Consent(
            # In order of time, so that listings are; nobody guesses 96 random bits.
            consent_id=f"{now:010x}-{token_hex(12)}",
            version=1,
            state=REQUESTED,
            subject=asked.subject,
            operator_id=asked.operator_id,
            client_id=asked.client_id,
            request_id=asked.request_id,
            way=asked.way,
            terms=asked.terms,
            message=asked.message,
            language=asked.language,
            requested_at=now,
            answer_until=(
                now + USUAL_ANSWER_SECONDS if asked.answer_until is None else asked.answer_until
            ),
            changed_at=now,
        )
    except ValidationError as error:
        raise invalid(
            *(Violation(path_of(fault.where), fault.mend) for fault in faults_of(error))
        ) from None
