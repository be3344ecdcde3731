"""Who signed in, as an identity provider vouches for them."""

import hashlib
from dataclasses import dataclass
from typing import Final

from operators.administrators import STRONG_ACR

REPRESENTATIVE_PREFIX: Final = "representative:"


@dataclass(frozen=True, slots=True)
class Identity:
    """One person at one provider: ``issuer`` and ``subject`` name them for ever.

    ``name`` is for people to read. ``uscc`` is the company they act for (统一社会信用代码),
    as the provider has verified it, "" for none. ``auth_time`` (UTC seconds) and ``acr``
    tell when and how strongly they signed in, ``acr`` in this gateway's own terms
    (`operators.administrators`).
    """

    issuer: str
    subject: str
    name: str
    uscc: str
    auth_time: int
    acr: str

    @property
    def strong(self) -> bool:
        """Whether they signed in by more than one factor."""
        return self.acr == STRONG_ACR

    @property
    def representative(self) -> str:
        """The principal of a company's representative: the same person has always the same.

        A digest, so that tokens carry neither the provider's name nor its subject.
        """
        person = f"{self.issuer}\n{self.subject}".encode()
        return REPRESENTATIVE_PREFIX + hashlib.sha256(person).hexdigest()[:32]
