"""Keys a client signs JWTs with: its assertions (RFC 7523) and its proofs (RFC 9449)."""

from collections.abc import Mapping
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry


class QuietRegistry(JWSRegistry):
    """joserfc's algorithms, all of them: who uses it says which are allowed.

    joserfc warns at each use of EdDSA, which RFC 9864 renames; servers still want it.
    """

    def get_alg(self, name: str) -> Any:
        """Return an algorithm; raises KeyError for one there is not."""
        return self.algorithms[name]


class SigningKey:
    """A private key with its algorithm: ES256, EdDSA or PS256."""

    def __init__(self, alg: str, key: ECKey | OKPKey | RSAKey) -> None:
        self._alg = alg
        self._key = key
        self._registry = QuietRegistry()

    @classmethod
    def read(cls, pem: bytes) -> Self:
        """Return the key of a PEM file. Raises ValueError for what is none of the three."""
        key = load_pem_private_key(pem, password=None)
        if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
            return cls("ES256", ECKey.import_key(pem))
        if isinstance(key, ed25519.Ed25519PrivateKey):
            return cls("EdDSA", OKPKey.import_key(pem))
        if isinstance(key, rsa.RSAPrivateKey):
            return cls("PS256", RSAKey.import_key(pem))
        raise ValueError("a signing key must be an EC P-256, Ed25519 or RSA private key (PEM)")

    @property
    def public(self) -> dict[str, Any]:
        """The public key as a JWK."""
        return dict(self._key.as_dict(private=False))

    def sign(self, claims: Mapping[str, Any], **header: Any) -> str:
        """Return ``claims`` as a JWT whose header has ``header`` besides alg."""
        whole = {"alg": self._alg, **header}
        return jwt.encode(whole, dict(claims), self._key, registry=self._registry)

    def sign_detached(self, payload: bytes) -> str:
        """Return a JWS of ``payload`` without it (RFC 7515 appendix F), its key named."""
        header = {"alg": self._alg, "kid": self._key.thumbprint()}
        whole = jws.serialize_compact(header, payload, self._key, registry=self._registry)
        return jws.detach_content(whole)
