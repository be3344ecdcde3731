"""The view: everything administrators decide, folded from one log into one snapshot."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.catalogue.model import CatalogueBook
from gateway.oauth.keys import SigningKeyBook
from gateway.settle.prices import PriceBook
from gateway.settle.shares import SharingBook
from operators.authority import Authority
from operators.log import Change


@dataclass(frozen=True, slots=True, eq=False)
class AuthorityView:
    """One consistent state of authority, up to ``sequence`` of the log."""

    sequence: int = 0
    authority: Authority = field(default_factory=Authority.empty)
    catalogue: CatalogueBook = field(default_factory=CatalogueBook.empty)
    prices: PriceBook = field(default_factory=PriceBook.empty)
    sharing: SharingBook = field(default_factory=SharingBook.empty)
    signing_keys: SigningKeyBook = field(default_factory=SigningKeyBook.empty)

    def advanced(self, changes: Sequence[Change]) -> "AuthorityView":
        """Return the view after ``changes``, which follow ``sequence`` in order."""
        if not changes:
            return self
        return AuthorityView(
            changes[-1].sequence,
            self.authority.advanced(changes),
            self.catalogue.advanced(changes),
            self.prices.advanced(changes),
            self.sharing.advanced(changes),
            self.signing_keys.advanced(changes),
        )
