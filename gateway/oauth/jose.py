"""Signature algorithms: the closed set of the FAPI 2.0 Security Profile, section 5.4.1.

``none``, HMAC and PKCS #1 v1.5 algorithms do not exist here, whatever a header says.
"""

from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

PublicKey = ECKey | OKPKey | RSAKey

ALGORITHMS: Final = ("ES256", "PS256", "EdDSA")
"""What clients may sign their assertions with; EdDSA means Ed25519."""

_KEY_TYPE: Final = {"ES256": "EC", "PS256": "RSA", "EdDSA": "OKP"}

MALFORMED: Final = (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""What a hostile token may make joserfc raise: bad encodings, headers that are no
object, an ``alg`` that is no string, JSON nested beyond the interpreter's stack."""


class ProfileRegistry(JWSRegistry):
    """joserfc's registry cut down to `ALGORITHMS`.

    joserfc warns at each use of "EdDSA" because RFC 9864 renames it; the profile and
    the clients of today still say EdDSA, so it is looked up here without the warning.
    """

    def __init__(self) -> None:
        super().__init__(algorithms=ALGORITHMS)

    def get_alg(self, name: str) -> Any:
        """Return the algorithm. Raises UnsupportedAlgorithmError outside the profile."""
        if name not in ALGORITHMS:
            raise UnsupportedAlgorithmError("The signature algorithm is not allowed here")
        return self.algorithms[name]


def verified_claims(
    token: str, key: PublicKey, alg: str, registry: ProfileRegistry
) -> dict[str, Any]:
    """Return the claims of ``token`` when ``key`` signed it with ``alg``.

    ``alg`` is what the key is for, so that a header can choose nothing (RFC 8725
    section 3.1). Raises one of `MALFORMED` otherwise.
    """
    if not fits(key, alg):
        raise UnsupportedAlgorithmError("The key is not for this algorithm")
    decoded = jwt.decode(token, key, algorithms=[alg], registry=registry)
    if decoded.header.get("alg") != alg:
        raise UnsupportedAlgorithmError("The token is signed with another algorithm")
    return decoded.claims


def fits(key: PublicKey, alg: str) -> bool:
    """Tell whether ``key`` may be used with ``alg``; EdDSA with curve Ed25519 only."""
    if key.key_type != _KEY_TYPE.get(alg) or key.alg not in (None, alg):
        return False
    return not isinstance(key, OKPKey) or key.curve_name == "Ed25519"
