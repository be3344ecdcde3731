"""Signing keys of logs: Ed25519, one PEM file each, made once."""

from collections.abc import Collection
from pathlib import Path
from threading import Event
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from creditgate.transparency.note import VerifierKey
from gateway.pki.files import write_first
from gateway.transparency.last_signed import LastSigned


class KeyOver(RuntimeError):
    """The store's log goes by another key: this one signs no more."""


class LogKey:
    """The key a log signs its checkpoints with, under the name of its origin; any thread.

    ``last`` is what it signed last, None where that is not kept; ``over`` is set once it is to sign
    no more.
    """

    def __init__(
        self,
        origin: str,
        private: Ed25519PrivateKey,
        last: LastSigned | None = None,
        over: Event | None = None,
    ) -> None:
        self._private = private
        self._over = over or Event()
        self.last = last
        self.verifier = VerifierKey(origin, private.public_key().public_bytes_raw())

    @classmethod
    def kept_in(cls, file: Path, origin: str) -> Self:
        """Return the key in ``file``, which is made when it is missing.

        Processes that start at once end up with one key. Raises OSError, and ValueError
        when the file holds no Ed25519 key.
        """
        try:
            pem = file.read_bytes()
        except FileNotFoundError:
            pem = write_first(file, new_key())
        key = load_pem_private_key(pem, None)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError(f"{file} holds no Ed25519 key; restore it from a copy.")  # noqa: TRY004
        return cls(origin, key, LastSigned.read(file))

    def named(self, origin: str) -> "LogKey":
        """Return this key as that of the log of another origin; what it signs last is not kept."""
        return LogKey(origin, self._private, over=self._over)

    def after(self, former: Collection[str]) -> "LogKey":
        """Return this key as the one that follows those of the origins ``former``, a process of which
        may still note what it signs."""
        name = self.verifier.name
        last = None if self.last is None else self.last.of_present(name, former)
        return LogKey(name, self._private, last, self._over)

    def end(self) -> None:
        """Sign no more, be it under another name."""
        self._over.set()

    @property
    def is_over(self) -> bool:
        """Whether it signs no more."""
        return self._over.is_set()

    def sign(self, text: bytes) -> bytes:
        """Return the signature of ``text``, 64 bytes. Raises KeyOver."""
        if self._over.is_set():
            raise KeyOver
        return self._private.sign(text)

    def pem(self) -> bytes:
        """Return the private key (PEM, PKCS #8), for a library that signs with it at once. Raises
        KeyOver."""
        if self._over.is_set():
            raise KeyOver
        return _pem(self._private)


def new_key() -> bytes:
    """Return a new Ed25519 private key (PEM, PKCS #8)."""
    return _pem(Ed25519PrivateKey.generate())


def _pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
