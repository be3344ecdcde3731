"""For whom somebody signed in acts, and what they may do there. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from consent.delegation import Delegation, Power, allows, live, within
from consent.model import Consent, ConsentTerms
from consent.states import REQUESTED
from creditgate.v1.consent_service_pb2 import ConsentState
from gateway.signin.identity import Identity

FRESH_SIGN_IN_SECONDS: Final = 3_600
"""How old a sign-in at the provider may be for what opens something for long to be done by it.

Sessions last a working day, so that looking, refusing, revoking and withdrawing stay easy:
those open nothing. A consent, a deputy, a key or a report binds the company for weeks or months,
and must not be given by whoever finds its representative's browser open.
"""


@dataclass(frozen=True, slots=True)
class Acting:
    """Somebody acting for ``subject`` at ``now`` (seconds, UTC).

    A representative has no ``delegations``; a deputy has one or more live ones.
    """

    subject: str
    identity: Identity
    delegations: tuple[Delegation, ...]
    now: int

    @property
    def principal(self) -> str:
        """Who acts, as histories name them."""
        return self.identity.representative

    @property
    def represents(self) -> bool:
        """Whether they are the company's own representative."""
        return not self.delegations

    def may(self, power: Power) -> bool:
        """Tell whether they may do this for some consent or other."""
        return self.represents or any(allows(each, power, self.now) for each in self.delegations)

    @property
    def sees_all(self) -> bool:
        """Whether nothing of the company's is kept from them."""
        return self._without_limits(Power.SEE)

    @property
    def may_report(self) -> bool:
        """Whether the company's reports are theirs to issue, download and take back.

        A report may hold all there is of the company: no limited delegation will do.
        """
        return self._without_limits(Power.REPORT)

    def under(self, power: Power, consent: Consent) -> str | None:
        """Return the id of the delegation they may do this under; None where they may not.

        The company's own representative needs none: "".
        """
        return self.under_terms(power, consent.terms, consent.operator_id)

    def under_terms(self, power: Power, terms: ConsentTerms, operator_id: str) -> str | None:
        """As `under`, for what ``operator_id`` asks for by ``terms``."""
        if self.represents:
            return ""
        for each in self.delegations:
            if allows(each, power, self.now, terms=terms, operator_id=operator_id):
                return each.delegation_id
        return None

    def may_open(self, consent: Consent, state: ConsentState.ValueType) -> bool:
        """Tell whether it is shown to them: to see, to revoke, or to answer what waits.

        Who answered sees what became of it.
        """
        return (
            self.under(Power.SEE, consent) is not None
            or self.under(Power.REVOKE, consent) is not None
            or (
                self.under(Power.ANSWER, consent) is not None
                and (state == REQUESTED or consent.signer == self.principal)
            )
        )

    def may_see_use(self, item: str, purpose: int, operator_id: str) -> bool:
        """Tell whether they may see that ``operator_id`` used ``item`` for ``purpose``."""
        return self.represents or any(
            allows(each, Power.SEE, self.now) and within(each, {item}, {purpose}, operator_id)
            for each in self.delegations
        )

    def _without_limits(self, power: Power) -> bool:
        return self.represents or any(
            allows(each, power, self.now) and not (each.items or each.purposes or each.operators)
            for each in self.delegations
        )


def signed_in_freshly(identity: Identity, now: int) -> bool:
    """Tell whether ``identity`` signed in lately enough, at ``now`` (seconds, UTC), for what
    opens something for long: see `FRESH_SIGN_IN_SECONDS`."""
    return now - identity.auth_time <= FRESH_SIGN_IN_SECONDS


def acting_for(
    identity: Identity, delegations: Iterable[Delegation], subject: str, now: int
) -> Acting | None:
    """Return how ``identity`` acts for ``subject`` at ``now``; None where they do not.

    ``delegations`` are those ``identity`` has accepted.
    """
    if identity.uscc and identity.uscc == subject:
        return Acting(subject, identity, (), now)
    standing = tuple(
        each
        for each in delegations
        if each.subject == subject and each.deputy == identity.representative and live(each, now)
    )
    return Acting(subject, identity, standing, now) if standing else None


def companies(identity: Identity, delegations: Iterable[Delegation], now: int) -> tuple[str, ...]:
    """Return the companies ``identity`` acts for at ``now``, their own one first."""
    others = {each.subject for each in delegations if live(each, now)} - {identity.uscc}
    return (*((identity.uscc,) if identity.uscc else ()), *sorted(others))
