"""Signature algorithms: the closed set of the FAPI 2.0 Security Profile, section 5.4.1.

``none``, HMAC and PKCS #1 v1.5 algorithms do not exist here, whatever a header says.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from joserfc import jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

PublicKey = ECKey | OKPKey | RSAKey

ALGORITHMS: Final = ("ES256", "PS256", "EdDSA", "Ed25519")
"""What clients may sign with. The profile's EdDSA means Ed25519, and RFC 9864 section 2.2
has it called so: newer client libraries write the second name for the same signature."""

_KEY_TYPE: Final = {"ES256": "EC", "PS256": "RSA", "EdDSA": "OKP", "Ed25519": "OKP"}

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
    if isinstance(key, OKPKey) and key.alg not in (None, alg):
        # joserfc takes the two names of Ed25519 for two algorithms.
        key = OKPKey.import_key({**key.as_dict(private=False), "alg": alg})
    decoded = jwt.decode(token, key, algorithms=[alg], registry=registry)
    if decoded.header.get("alg") != alg:
        raise UnsupportedAlgorithmError("The token is signed with another algorithm")
    return decoded.claims


class Signed(NamedTuple):
    """What a token claims, and the RFC 7638 thumbprint of the key that signed it."""

    claims: dict[str, Any]
    thumbprint: str


def claims_signed_by(
    keys: KeySet, token: str, header: Mapping[str, Any], registry: ProfileRegistry
) -> Signed | None:
    """Return what ``token`` claims when one of ``keys`` signed it; None when none did.

    ``header`` is its own, whose ``kid`` may say which: several keys may have one
    (FAPI 2.0 Security Profile, section 5.4.3), so each that fits is tried.
    """
    kid, alg = header.get("kid"), header.get("alg")
    if alg not in ALGORITHMS:
        return None
    for key in keys:
        if isinstance(key, OctKey) or not fits(key, alg) or kid not in (None, key.kid):
            continue
        try:
            return Signed(verified_claims(token, key, alg, registry), key.thumbprint())
        except MALFORMED:
            continue
    return None


def fits(key: PublicKey, alg: str) -> bool:
    """Tell whether ``key`` may be used with ``alg``; EdDSA with curve Ed25519 only."""
    if key.key_type != _KEY_TYPE.get(alg):
        return False
    if isinstance(key, OKPKey):
        return key.curve_name == "Ed25519" and key.alg in (None, "EdDSA", "Ed25519")
    return key.alg in (None, alg)
