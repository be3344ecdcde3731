"""What was revoked before its time: access tokens, grants and consents with all their tokens.

A revocation is kept as long as a token it stops could still be accepted; after that the
token's own ``exp`` stops it. So the book stays as small as the last quarter of an hour.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

MOST_TOKEN_SECONDS: Final = 900
"""Longest life of an access token that configuration allows."""

CLOCK_SECONDS: Final = 60
"""How far the clocks of two processes may be apart."""

_PRUNE_SECONDS: Final = 60

RevocationKind = Literal["token", "grant", "consent"]


def revocable(kind: RevocationKind, id_: str) -> str:
    """Return the name under which tokens and the book know a revocable thing."""
    return f"{kind}:{id_}"


@dataclass(frozen=True, slots=True)
class Revocation:
    """One token (by ``jti``), grant or consent (by its resource name) that counts no more.

    ``expires_at`` (seconds, UTC) is when nothing it stops can be accepted any longer.
    """

    kind: RevocationKind
    id: str
    expires_at: int

    @classmethod
    def of_token(cls, jti: str, expires_at: int) -> "Revocation":
        """Return the revocation of one access token that ends at ``expires_at``."""
        return cls("token", jti, expires_at + CLOCK_SECONDS)

    @classmethod
    def of_grant(cls, grant_id: str, now: int) -> "Revocation":
        """Return the revocation of every access token a grant gave up to ``now``."""
        return cls("grant", grant_id, now + MOST_TOKEN_SECONDS + CLOCK_SECONDS)

    @classmethod
    def of_consent(cls, consent: str, now: int) -> "Revocation":
        """Return the revocation of every access token up to ``now`` that names ``consent``."""
        return cls("consent", consent, now + MOST_TOKEN_SECONDS + CLOCK_SECONDS)


@dataclass(frozen=True, slots=True)
class LoggedRevocation:
    """A revocation with its place in the order of commits."""

    sequence: int
    revocation: Revocation


class RevocationBook:
    """All revocations that still matter, up to ``sequence``. Immutable.

    ``names`` are those of what was revoked (see `revocable`); some of it may have
    expired, which changes nothing: what it names is refused anyway.
    """

    __slots__ = ("_prune_at", "_until", "names", "sequence")

    def __init__(self, sequence: int, until: dict[str, int], prune_at: int) -> None:
        self.sequence = sequence
        self.names = until.keys()
        self._until = until
        self._prune_at = prune_at

    @classmethod
    def empty(cls) -> "RevocationBook":
        """Return the book before the first revocation."""
        return cls(0, {}, 0)

    def advanced(self, news: Sequence[LoggedRevocation], now: int) -> "RevocationBook":
        """Return the book after ``news``, in order. ``now`` in seconds, UTC."""
        if not news:
            return self
        until, prune_at = self._until.copy(), self._prune_at
        # News may come many times a second, so not each of them looks through all.
        if now >= prune_at:
            until = {name: at for name, at in until.items() if now < at}
            prune_at = now + _PRUNE_SECONDS
        for logged in news:
            name = revocable(logged.revocation.kind, logged.revocation.id)
            until[name] = max(logged.revocation.expires_at, until.get(name, 0))
        return RevocationBook(news[-1].sequence, until, prune_at)

    def allows(self, names: frozenset[str]) -> bool:
        """Tell whether none of these things was revoked."""
        return self.names.isdisjoint(names)
