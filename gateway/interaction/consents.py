"""The consent that a request by authorisation code asks for: shown, given with the code,
or refused.

The same desk as for every other way to ask, so that the artefact is the same. The consent
is asked for when it is answered, and granted after the code is kept: what breaks off in
between leaves a request that waits in the subject's inbox, and serves nothing (G3).
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from consent.delegations_sql import SqlDelegations
from consent.model import CODE_PREFIX, ConsentNotice
from consent.states import REQUESTED
from creditgate.refusal import Refused, reason_name
from gateway.authority.view import AuthorityView
from gateway.clock import Clock
from gateway.consents.desk import AskedConsent, ConsentDesk
from gateway.consents.plain import PlainConsent, notice, plain_consent
from gateway.failure_kind import failure_kind
from gateway.interaction.approvers import Approvable, Obstacle, consentable
from gateway.oauth.consent_request import terms_of
from gateway.oauth.interactions import Approval, AskedAuthorization, Interactions
from gateway.pages.rendering import Language
from gateway.signin.identity import Identity
from gateway.subject.acting import acting_for

_log = logging.getLogger(__name__)
_ANSWER_SECONDS: Final = 86_400
"""How long a request is left in the inbox that was cut off while it was approved."""


@dataclass(frozen=True, slots=True)
class ConsentOffer:
    """A consent that somebody may give now, and what they are shown of it.

    ``delegation`` is the id of the one they act under, "" for the subject's own
    representative; ``approval`` names no consent yet.
    """

    asked: AskedConsent
    approval: Approval
    delegation: str
    plain: PlainConsent
    notice: ConsentNotice


class ConsentApprovals:
    """Offers consents on the approval page, and gives them. Calls block."""

    def __init__(
        self,
        interactions: Interactions,
        desk: ConsentDesk,
        delegations: SqlDelegations,
        view: Callable[[], AuthorityView],
        clock: Clock,
    ) -> None:
        self._interactions = interactions
        self._desk = desk
        self._delegations = delegations
        self._view = view
        self._clock = clock

    def offer(
        self, asked: AskedAuthorization, identity: Identity, language: Language
    ) -> ConsentOffer | Obstacle:
        """Return what ``identity`` may consent to, or why not.

        Raises Refused AUTHORITY_UNKNOWN.
        """
        (detail,), terms_asked = asked.details, asked.consent_terms
        assert terms_asked is not None
        (subject,) = detail.subjects
        view, now = self._view(), self._clock.now()
        # The same terms whoever looks, so that a request cut off is taken up again.
        terms = self._desk.pinned(terms_of(detail, terms_asked, asked.pushed_at))
        held = self._delegations.of_deputy(identity.representative)
        acting = acting_for(identity, held, subject, now)
        found = consentable(view.authority, asked, identity, acting, terms, now)
        if not isinstance(found, Approvable):
            return found
        operator_id = view.authority.clients[asked.client_id].operator_id
        if self._desk.faults(operator_id, terms):
            return "not-open"
        message = terms_asked.message
        plain = plain_consent(view, operator_id, subject, terms, message, language)
        shown = notice(plain, language)
        return ConsentOffer(
            AskedConsent(
                operator_id=operator_id,
                client_id=asked.client_id,
                subject=subject,
                terms=terms,
                message=message,
                language=shown.language,
                answer_until=min(now + _ANSWER_SECONDS, terms.valid_until),
                request_id=CODE_PREFIX + asked.request_id,
                way="code",
            ),
            found.approval(identity),
            found.delegation,
            plain,
            shown,
        )

    def give(self, interaction_id: str, offer: ConsentOffer) -> str | None:
        """Give the consent, and return the URL that takes the browser back to the client.

        None where nothing of that id waits any more, or the consent was answered elsewhere.
        Raises Refused as `ConsentDesk.ask` and `ConsentDesk.grant`; nobody is told the code
        then.
        """
        consent = self._desk.ask(offer.asked)
        # Nobody gives more or less than they were shown: one kept earlier may name other fields.
        if consent.terms != offer.asked.terms or self._desk.answerable(consent) is not None:
            return None
        details = tuple(
            detail.model_copy(update={"consent": consent.name}) for detail in offer.approval.details
        )
        url = self._interactions.approve(interaction_id, replace(offer.approval, details=details))
        if url is None:
            return None
        self._desk.grant(
            consent.consent_id,
            expected_version=consent.version,
            signer=offer.approval.principal,
            delegation=offer.delegation,
            notice=offer.notice,
        )
        return url

    def refuse(self, asked: AskedAuthorization, identity: Identity, language: Language) -> None:
        """Leave the refusal by ``identity`` as one from the inbox is left, where it is
        theirs to answer.

        The client has been told already, and people refuse whatever else fails: that is
        logged.
        """
        try:
            offer = self.offer(asked, identity, language)
            if not isinstance(offer, ConsentOffer):
                return
            consent = self._desk.ask(offer.asked)
            # It may have been answered from the inbox, after an approval that broke off.
            if consent.state == REQUESTED:
                self._desk.refuse(
                    consent.consent_id,
                    expected_version=consent.version,
                    signer=offer.approval.principal,
                    delegation=offer.delegation,
                )
        except Refused as refused:
            _log.warning("a refusal left no consent: %s", reason_name(refused.reason))
        except (DBAPIError, PoolTimeout) as error:
            _log.warning("a refusal left no consent: %s", failure_kind(error))
