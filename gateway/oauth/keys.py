"""Signing keys as the authority log knows them: public halves and their lives.

A key signs from ``active_from`` until a newer one does, and verifies until retired.
Tokens live five minutes, so a superseded key can be retired five minutes later.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ConfigDict

from operators.log import Change

KIND: Final = "signing_key"
PublicJwk = dict[str, str]


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

    def entry(self, kid: str) -> VersionedKey | None:
        """Return a key with its version, retired or not; None when never known."""
        return self._all.get(kid)
