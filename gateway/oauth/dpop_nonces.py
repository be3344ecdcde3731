"""Nonces of the server for proofs (RFC 9449 section 8), kept nowhere.

A nonce is a Fernet token: its time and its seal are in itself, so that every process
that has the key knows its own nonces and how old they are. A client cannot make proofs
ahead for times when it does not hold its key.
"""

from pathlib import Path
from typing import Final

from cryptography.fernet import Fernet, InvalidToken

from gateway.pki.files import write_first

LIFE_SECONDS: Final = 120
"""Until when after its making a nonce is accepted."""

_RENEW_SECONDS: Final = 60


class DpopNonces:
    """Makes nonces and knows them again; any thread.

    A nonce is given out for a minute and accepted for two, so one that a client gets
    is good for a minute at least.
    """

    def __init__(self, key: bytes) -> None:
        self._fernet = Fernet(key)
        self._current: tuple[int, str] | None = None

    @classmethod
    def kept_in(cls, file: Path) -> "DpopNonces":
        """Return the nonces of the key in ``file``, which is made when it is missing.

        Processes that start at once end up with one key. Raises OSError, and ValueError
        when the file holds no key.
        """
        try:
            key = file.read_bytes()
        except FileNotFoundError:
            key = _first_key(file)
        try:
            return cls(key)
        except ValueError:
            raise ValueError(
                f"{file} holds no key for nonces; remove it, and a start makes a new one."
            ) from None

    def current(self, now: int) -> str:
        """Return the nonce to give out at ``now`` (seconds, UTC)."""
        current = self._current
        if current is None or not current[0] <= now < current[0] + _RENEW_SECONDS:
            nonce = self._fernet.encrypt_at_time(b"", now).decode()
            current = self._current = (now, nonce)
        return current[1]

    def accepts(self, nonce: str, now: int) -> bool:
        """Tell whether this installation gave ``nonce`` and it is not too old."""
        try:
            self._fernet.decrypt_at_time(nonce.encode(), LIFE_SECONDS, now)
        except InvalidToken:
            return False
        return True


def _first_key(file: Path) -> bytes:
    """Put a new key in ``file`` unless another process was first; return what is there."""
    return write_first(file, Fernet.generate_key())
