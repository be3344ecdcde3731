"""A key of a log, made for a test."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from creditgate.transparency.note import VerifierKey


class TestLogKey:
    """Signs for a log of a name."""

    __test__ = False

    def __init__(self, name: str) -> None:
        self._private = Ed25519PrivateKey.generate()
        self.verifier = VerifierKey(name, self._private.public_key().public_bytes_raw())

    def sign(self, text: bytes) -> bytes:
        return self._private.sign(text)
