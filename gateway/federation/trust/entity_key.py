"""The key an entity of the federation signs its statements with: one PEM file, made once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey

from gateway.oauth.jose import ProfileRegistry
from gateway.pki.files import write_first


class EntityKey:
    """An ES256 key (RFC 7518 section 3.4); its kid is its RFC 7638 thumbprint."""

    def __init__(self, key: ECKey) -> None:
        self._key = key
        self._registry = ProfileRegistry()
        self.kid = key.thumbprint()

    @classmethod
    def kept_in(cls, file: Path) -> "EntityKey":
        """Return the key in ``file``, which is made when it is missing.

        Processes that start at once end up with one key. Raises OSError, and what joserfc
        raises where the file holds no EC key.
        """
        try:
            pem = file.read_bytes()
        except FileNotFoundError:
            pem = write_first(file, ECKey.generate_key("P-256").as_pem(private=True))
        return cls(ECKey.import_key(pem))

    @property
    def public(self) -> dict[str, str]:
        """The public JWK (RFC 7517)."""
        jwk = self._key.as_dict(private=False, kid=self.kid, alg="ES256", use="sig")
        return {name: str(value) for name, value in jwk.items()}

    @property
    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The JWK Set of this key alone, public."""
        return {"keys": [self.public]}

    def sign(self, claims: Mapping[str, Any], typ: str) -> str:
        """Return ``claims`` as a JWT of type ``typ``."""
        header = {"alg": "ES256", "typ": typ, "kid": self.kid}
        return jwt.encode(header, dict(claims), self._key, registry=self._registry)
