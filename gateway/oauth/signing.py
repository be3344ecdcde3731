"""Private signing keys: one PEM file each, 0600, named by kid, in one folder.

Processes share the folder: a key another process made is found when first needed. One whose file is
not there or cannot be used, such as another user's or that of another key, leaves signing to the one
before it.
"""

import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.oauth.jose import ProfileRegistry
from gateway.oauth.keys import PublicJwk, SigningKeyBook
from gateway.pki.files import write_private

SigningAlgorithm = Literal["ES256", "EdDSA"]
SIGNING_ALGORITHMS: Final[tuple[SigningAlgorithm, ...]] = ("ES256", "EdDSA")
_log = logging.getLogger(__name__)
_KID: Final = re.compile(r"[A-Za-z0-9_-]{43}")


class _NotItsKey(ValueError):
    """A file holds no private key, or that of another kid than its name says."""


class SigningKeys:
    """The private keys this process can sign with; ``read`` reads a file of them. Who judges for the
    gateway's own user reads as that one."""

    def __init__(self, folder: Path, read: Callable[[Path], bytes] = Path.read_bytes) -> None:
        self._folder = folder
        self._read = read
        self._loaded: dict[str, ECKey | OKPKey] = {}
        # Files that cannot be used, each told once.
        self._told: set[str] = set()
        self._registry = ProfileRegistry()

    def create(self, algorithm: SigningAlgorithm) -> PublicJwk:
        """Make a key, write its private half, return its public JWK with kid, alg and use."""
        key = (
            ECKey.generate_key("P-256") if algorithm == "ES256" else OKPKey.generate_key("Ed25519")
        )
        kid = key.thumbprint()
        write_private(self._path(kid), key.as_pem(private=True))
        public = key.as_dict(private=False, kid=kid, alg=algorithm, use="sig")
        return {name: str(value) for name, value in public.items()}

    def sign(self, book: SigningKeyBook, claims: Mapping[str, Any], typ: str, now: int) -> str:
        """Return ``claims`` as a JWT of type ``typ``, signed by the newest key at hand.

        Raises Refused TEMPORARILY_UNAVAILABLE when this process has no key that stands.
        """
        kid = self.signing_kid(book, now)
        if kid is not None:
            jwk = book[kid]
            header = {"alg": jwk["alg"], "typ": typ, "kid": kid}
            key = self._loaded[kid]
            return jwt.encode(header, dict(claims), key, registry=self._registry)
        raise Refused(
            RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE,
            "No signing key is at hand; the gateway's administrator must make or restore one.",
            retry_after=5,
        )

    def signing_kid(self, book: SigningKeyBook, now: int) -> str | None:
        """Return which key signs at ``now``: the newest at hand, None where none is."""
        kids = book.signing_kids(now)
        return next((kid for kid in kids if self._load(kid, book[kid]["kty"]) is not None), None)

    def _load(self, kid: str, key_type: str) -> ECKey | OKPKey | None:
        key = self._loaded.get(kid)
        if key is None:
            try:
                key = _its_key(self._read(self._path(kid)), kid, key_type)
            # TypeError is what a PEM under a passphrase raises.
            except (OSError, TypeError, ValueError, JoseError) as error:
                self._tell(kid, error)
                return None
            self._loaded[kid] = key
        return key

    def _tell(self, kid: str, error: Exception) -> None:
        if kid not in self._told:
            self._told.add(kid)
            what = str(error) if isinstance(error, _NotItsKey) else type(error).__name__
            _log.error("the file of signing key %s cannot be used: %s", kid, what)

    def _path(self, kid: str) -> Path:
        if not _KID.fullmatch(kid):
            raise ValueError("a signing key's kid must be its RFC 7638 thumbprint")
        return self._folder / f"{kid}.pem"


def _its_key(pem: bytes, kid: str, key_type: str) -> ECKey | OKPKey:
    key = ECKey.import_key(pem) if key_type == "EC" else OKPKey.import_key(pem)
    # What another key signed nobody can verify under this kid.
    if key.thumbprint() != kid:
        raise _NotItsKey("it holds another key")
    if not key.is_private:
        raise _NotItsKey("it holds no private key")
    return key
