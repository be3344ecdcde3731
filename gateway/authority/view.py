"""The view: everything administrators decide, folded from one log into one snapshot."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from creditgate.rating.prices import PriceBook
from gateway.authority.restoration import number_of, restored_at
from gateway.catalogue.model import CatalogueBook
from gateway.oauth.keys import SigningKeyBook
from gateway.oauth.revocations import LoggedRevocation, RevocationBook
from gateway.settle.classes import ClassBook
from gateway.settle.shares import SharingBook
from operators.authority import Authority
from operators.log import Change


@dataclass(frozen=True, slots=True, eq=False)
class AuthorityView:
    """One consistent state of authority, up to ``sequence`` of the log, and what was revoked.

    ``restored_at`` is when the store was put back from a copy last (seconds, UTC), 0 for never.
    """

    sequence: int = 0
    authority: Authority = field(default_factory=Authority.empty)
    catalogue: CatalogueBook = field(default_factory=CatalogueBook.empty)
    prices: PriceBook = field(default_factory=PriceBook.empty)
    sharing: SharingBook = field(default_factory=SharingBook.empty)
    classes: ClassBook = field(default_factory=ClassBook.empty)
    signing_keys: SigningKeyBook = field(default_factory=SigningKeyBook.empty)
    revocations: RevocationBook = field(default_factory=RevocationBook.empty)
    restored_at: int = 0

    @property
    def number(self) -> int:
        """What tells others which of two states is the newer: see
        `gateway.authority.restoration.number_of`."""
        return number_of(self.sequence, self.restored_at)

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
            self.classes.advanced(changes),
            self.signing_keys.advanced(changes),
            self.revocations,
            restored_at(self.restored_at, changes),
        )

    def after(self, revoked: Sequence[LoggedRevocation], now: int) -> "AuthorityView":
        """Return the view after ``revoked``, which follow in order; ``now`` in seconds, UTC."""
        if not revoked:
            return self
        return replace(self, revocations=self.revocations.advanced(revoked, now))

    def decides_as(self, other: "AuthorityView") -> bool:
        """Tell whether both hold the same decisions of administrators, whatever was revoked."""
        # Every change of the log makes another Authority.
        return self.authority is other.authority
