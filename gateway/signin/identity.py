"""Who signed in, as an identity provider vouches for them."""

from dataclasses import dataclass
from typing import Final

from operators.administrators import STRONG_ACR

REPRESENTATIVE_PREFIX: Final = "representative:"
MOST_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class Identity:
    """One person at one provider: ``issuer`` and ``subject`` name them for ever.

    ``name`` is for people to read, ``subject`` where the provider told none. ``uscc`` is the
    company they act for (统一社会信用代码), as the provider has verified it, "" for none. ``auth_time`` (UTC seconds) and ``acr``
    tell when and how strongly they signed in, ``acr`` in this gateway's own terms
    (`operators.administrators`). ``representative`` is their principal as a company's
    representative (`gateway.signin.principals`): the same person has always the same, and
    it tells neither the provider nor its subject.
    """

    issuer: str
    subject: str
    name: str
    uscc: str
    auth_time: int
    acr: str
    representative: str

    @property
    def told_name(self) -> str:
        """The name that the provider told, "" where it told none.

        Others may be told it: not what stands in its place, which can be a phone or identity
        number.
        """
        return "" if self.name == self.subject[:MOST_NAME] else self.name

    @property
    def strong(self) -> bool:
        """Whether they signed in by more than one factor."""
        return self.acr == STRONG_ACR
