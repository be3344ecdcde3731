"""Signing keys as the authority log knows them: public halves and their lives.

A key is published as soon as it is logged, signs from ``active_from`` until a newer one
does, and verifies until retired. So that nobody who caches the published keys meets a
token of a key it has not, a new key is published before it signs, and an old one stays
until its last token is over (OpenID Connect Core 1.0, section 10.1.1).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ConfigDict

from operators.log import Change

KIND: Final = "signing_key"
PublicJwk = dict[str, str]

CACHED_SECONDS: Final = 60
"""How long others may keep a copy of the published keys, in seconds."""
LEAD_SECONDS: Final = 2 * CACHED_SECONDS
"""How long before it signs a key is published by a rotation that is no emergency."""


class SigningKey(BaseModel):
    """One document of kind ``signing_key``.

    ``kid`` is the key's RFC 7638 thumbprint, so a kid can never come to mean another
    key; ``jwk`` the public key (RFC 7517); times are UTC seconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kid: str
    jwk: PublicJwk
    active_from: int
    retired_at: int | None = None


@dataclass(frozen=True, slots=True)
class VersionedKey:
    """A signing key with the version its document is at."""

    version: int
    key: SigningKey


class SigningKeyBook(Mapping[str, PublicJwk]):
    """The standing keys: ``kid`` to public JWK; retired keys are not in it. Immutable."""

    __slots__ = ("_all", "_standing")

    def __init__(self, keys: Mapping[str, VersionedKey]) -> None:
        self._all = keys
        self._standing = {
            kid: entry.key.jwk for kid, entry in keys.items() if entry.key.retired_at is None
        }

    @classmethod
    def empty(cls) -> "SigningKeyBook":
        """Return the book before the first key."""
        return cls({})

    def advanced(self, changes: Sequence[Change]) -> "SigningKeyBook":
        """Return the book after ``changes``; those of other kinds are passed over.

        Raises pydantic.ValidationError on a document that is no signing key.
        """
        own = [change for change in changes if change.kind == KIND]
        if not own:
            return self
        news = {
            change.id: VersionedKey(change.version, SigningKey.model_validate(change.document))
            for change in own
        }
        return SigningKeyBook({**self._all, **news})

    def __getitem__(self, kid: str) -> PublicJwk:
        return self._standing[kid]

    def __contains__(self, kid: object) -> bool:
        return kid in self._standing

    def __iter__(self) -> Iterator[str]:
        return iter(self._standing)

    def __len__(self) -> int:
        return len(self._standing)

    def signing_kids(self, now: int) -> tuple[str, ...]:
        """Return the kids that may sign at ``now``, the one that should first.

        That is the newest; of keys that begin in one second, the one logged last.
        """
        active = [
            (entry.key.active_from, order, kid)
            for order, (kid, entry) in enumerate(self._all.items())
            if entry.key.retired_at is None and entry.key.active_from <= now
        ]
        return tuple(kid for _, _, kid in sorted(active, reverse=True))

    def ever(self) -> tuple[SigningKey, ...]:
        """Return every key in the order they were logged, retired ones too."""
        return tuple(entry.key for entry in self._all.values())

    def superseded_at(self, kid: str) -> int | None:
        """Return when a standing newer key takes over from ``kid``; None: none does.

        ``kid`` must be known; of keys that begin in one second, the one logged last is newer.
        """
        starts = {
            known: (entry.key.active_from, order)
            for order, (known, entry) in enumerate(self._all.items())
            if entry.key.retired_at is None or known == kid
        }
        later = [start for start in starts.values() if start > starts[kid]]
        return min(later)[0] if later else None

    def entry(self, kid: str) -> VersionedKey | None:
        """Return a key with its version, retired or not; None when never known."""
        return self._all.get(kid)
