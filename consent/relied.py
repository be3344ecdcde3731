"""A consent as an answer relies on it: what is looked at for every use, at hand."""

from typing import Final, NamedTuple

from consent.model import WITHIN_PERIOD, Consent
from consent.states import EXHAUSTED, GRANTED

# Another state is another version, decided by anew.
_OPENING: Final = frozenset({GRANTED, EXHAUSTED})


class ConsentVersion(NamedTuple):
    """A consent as it was decided by; each change makes another version."""

    consent_id: str
    version: int


class Relied(NamedTuple):
    """A consent that answers rely on.

    ``name`` is its resource name; ``opens`` tells whether answers may rest on it in its state,
    ``limited`` whether it limits how often it may be used, and ``exhausted`` whether it is used up. They
    stand beside the consent, not behind it: thousands of consents are more than a processor keeps
    at hand, and each group of uses looks at them with the ledger's locks held.
    """

    consent: Consent
    name: str
    version: ConsentVersion
    opens: bool
    limited: bool
    exhausted: bool

    @classmethod
    def of(cls, consent: Consent) -> "Relied":
        """Return a consent as it stands."""
        return cls(
            consent,
            consent.name,
            ConsentVersion(consent.consent_id, consent.version),
            consent.state in _OPENING,
            is_limited(consent),
            consent.state == EXHAUSTED,
        )


def is_limited(consent: Consent) -> bool:
    """Tell whether a consent limits how often it may be used."""
    return consent.terms.access_mode != WITHIN_PERIOD
