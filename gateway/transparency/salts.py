"""Salts: what keeps the log and the map from being guessed at.

Each is a keyed hash of what it is for, under one secret of the installation, so that none is
stored and every process makes the same. A salt is told only with the record it opens.
Source: HMAC, RFC 2104, with SHA-256.
"""

import secrets
from pathlib import Path
from typing import Final, Self

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from gateway.pki.files import write_first

_BYTES: Final = 32


class Salts:
    """The salts of one installation, 32 bytes each; any thread."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) != _BYTES:
            raise ValueError("the secret of the salts has 32 bytes")
        # Keyed once: to key the hash costs more than what is hashed.
        self._keyed = HMAC(secret, SHA256())

    @classmethod
    def kept_in(cls, file: Path) -> Self:
        """Return the salts of the secret in ``file``, which is made when it is missing.

        Processes that start at once end up with one secret. Raises OSError, and ValueError
        when the file holds no secret.
        """
        try:
            secret = file.read_bytes()
        except FileNotFoundError:
            secret = write_first(file, secrets.token_bytes(_BYTES))
        try:
            return cls(secret)
        except ValueError:
            raise ValueError(
                f"{file} holds no secret of salts; restore it from a copy: without it no entry of"
                " the disclosure log can be opened."
            ) from None

    @property
    def fingerprint(self) -> bytes:
        """What tells that the secret is still the same."""
        return self._salt(b"fingerprint", b"")

    def event(self, sequence: int) -> bytes:
        """Return the salt of an event's commitment."""
        return self._keyed_hash(b"event\0" + sequence.to_bytes(8, "big"))

    def content(self, sequence: int) -> bytes:
        """Return the salt of the content of the revision of this sequence."""
        return self._salt(b"content", sequence.to_bytes(8, "big"))

    def field(self, sequence: int, name: str) -> bytes:
        """Return the salt of one field of the revision of this sequence."""
        return self._salt(b"field", sequence.to_bytes(8, "big") + name.encode())

    def leaf(self, subject: str, item: str, event_sequence: int) -> bytes:
        """Return the salt of the map's leaf of a subject's protected item, as the event of
        this sequence left it."""
        return self._salt(b"leaf", event_sequence.to_bytes(8, "big"), subject, item)

    def protected_key(self, subject: str, item: str) -> bytes:
        """Return the key of the map's leaf of a subject's protected item."""
        return self._salt(b"protected-key", b"", subject, item)

    def head(self, number: int) -> bytes:
        """Return the salt of the commitment of the protected tree in the map's head of this
        number."""
        return self._salt(b"head", number.to_bytes(8, "big"))

    def directory(self, epoch: int) -> bytes:
        """Return the key of the directories of an epoch (`gateway.federation.asking`)."""
        return self._salt(b"directory", epoch.to_bytes(8, "big"))

    def seal(self, what: bytes) -> bytes:
        """Return the seal of ``what``: whoever lacks the secret can make no other."""
        return self._salt(b"seal", what)

    def _salt(self, label: bytes, what: bytes, *names: str) -> bytes:
        # Neither labels nor names of subjects and items hold a zero byte.
        return self._keyed_hash(b"\0".join((label, *(name.encode() for name in names), what)))

    def _keyed_hash(self, message: bytes) -> bytes:
        salt = self._keyed.copy()
        salt.update(message)
        return salt.finalize()
