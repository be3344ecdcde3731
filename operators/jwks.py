"""Public keys of clients: which JWK Sets are fit to authenticate with (RFC 7517, RFC 7523)."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

_MOST_KEYS: Final = 8
_MOST_REMEMBERED: Final = 4_096
_MOST_CHARACTERS: Final = 32_768
_LEAST_RSA_BITS: Final = 2048
_MOST_RSA_BITS: Final = 8192
# A long exponent makes checking a signature as slow as signing.
_MOST_EXPONENT_BITS: Final = 32
# RFC 7518 sections 6.2.2, 6.3.2, 6.4.1 and RFC 8037 section 2: private members.
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_TEXTS: Final = frozenset({"kty", "crv", "x", "y", "n", "e", "kid", "use", "alg"})
_CERTIFICATES: Final = frozenset({"x5c", "x5u", "x5t", "x5t#S256"})
_MALFORMED: Final = (JoseError, ValueError, TypeError, KeyError, AttributeError)


def public_jwks(text: str) -> str:
    """Check a JWK Set as JSON: 1 to 8 public keys for ES256, PS256 or EdDSA (Ed25519).

    Those are the algorithms of the FAPI 2.0 Security Profile, section 5.4.1; RSA keys
    have 2048 to 8192 bits. Returns ``text``; raises ValueError with the mend.
    """
    if len(text) > _MOST_CHARACTERS:
        raise ValueError(f"use at most {_MOST_CHARACTERS} characters")
    keys = _keys_of(text)
    if not 1 <= len(keys) <= _MOST_KEYS:
        raise ValueError(f"give 1 to {_MOST_KEYS} keys")
    for number, jwk in enumerate(keys):
        fault = public_key_fault(jwk)
        if fault is not None:
            raise ValueError(f"keys[{number}]: {fault}")
    kids = [jwk["kid"] for jwk in keys if "kid" in jwk]
    if len(kids) != len(set(kids)):
        raise ValueError("give each key a kid of its own")
    return text


@lru_cache(_MOST_REMEMBERED)
def key_thumbprints(jwks: str) -> frozenset[str]:
    """Return the RFC 7638 thumbprints of the keys of a checked JWK Set; remembered."""
    return frozenset(JWKRegistry.import_key(key).thumbprint() for key in _keys_of(jwks))


class DescribedKey(NamedTuple):
    """A public key as people tell it from others: ``thumbprint`` is that of RFC 7638, ``kid``
    "" where it has none, ``algorithm`` what it signs by (RFC 7518, RFC 8037)."""

    thumbprint: str
    kid: str
    algorithm: str


def described_keys(jwks: str) -> tuple[DescribedKey, ...]:
    """Return what the keys of a checked JWK Set are, in its order."""
    return tuple(
        DescribedKey(
            JWKRegistry.import_key(key).thumbprint(), key.get("kid", ""), _algorithm(key) or ""
        )
        for key in _keys_of(jwks)
    )


def require_interchangeable(document: object) -> None:
    """Raise ValueError for what Python reads as JSON and no JSON text can carry.

    RFC 8259 sections 6 and 8.1: numbers that are not finite, strings that are no Unicode.
    """
    json.dumps(document, ensure_ascii=False, allow_nan=False).encode()


def registrable_jwks(jwks: dict[str, Any]) -> dict[str, Any]:
    """Return the JWK Set a client sends of itself, with the members known here alone.

    RFC 7517 section 4: members not understood are ignored. Raises ValueError with the
    mend where `public_jwks` would, and for certificates, which do not come by keys.
    """
    keys = _keys_of(public_jwks(json.dumps(jwks)))
    for number, key in enumerate(keys):
        if not _CERTIFICATES.isdisjoint(key):
            raise ValueError(f"keys[{number}]: leave out {', '.join(sorted(_CERTIFICATES))}")
    return {"keys": [_known(key) for key in keys]}


def _known(key: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in key.items()
        if name == "key_ops" or (name in _TEXTS and isinstance(value, str))
    }


def _keys_of(text: str) -> list[dict[str, Any]]:
    try:
        document = json.loads(text)
        require_interchangeable(document)
    except (ValueError, RecursionError):
        raise ValueError("use a JWK Set as JSON") from None
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
        raise ValueError('use a JWK Set: {"keys": [...]}')
    return keys


def public_key_fault(jwk: dict[str, Any]) -> str | None:
    """Return why ``jwk`` is no public key for ES256, PS256 or EdDSA; None when it is one."""
    if not _PRIVATE.isdisjoint(jwk):
        return "holds private or secret members; send public keys only and replace this key"
    if not isinstance(jwk.get("kid", ""), str):
        return "kid must be a string"
    if jwk.get("use", "sig") != "sig" or jwk.get("key_ops", ["verify"]) != ["verify"]:
        return 'is not for signatures; use must be "sig", key_ops ["verify"]'
    alg = _algorithm(jwk)
    if alg is None:
        return (
            "use an EC P-256, an RSA (2048 to 8192 bits, exponent 65537) or an Ed25519 public key"
        )
    # RFC 9864 section 2.2: Ed25519 is EdDSA's name for the one curve allowed here.
    if jwk.get("alg", alg) not in (alg, "Ed25519" if alg == "EdDSA" else alg):
        return f"alg must be {alg} for this key"
    return None


def _algorithm(jwk: Mapping[str, Any]) -> str | None:
    try:
        key = JWKRegistry.import_key(dict(jwk))
        raw = key.raw_value
        if isinstance(key, RSAKey) and isinstance(raw, RSAPublicKey):
            fits = (
                _LEAST_RSA_BITS <= raw.key_size <= _MOST_RSA_BITS
                and raw.public_numbers().e.bit_length() <= _MOST_EXPONENT_BITS
            )
            return "PS256" if fits else None
        if isinstance(key, ECKey):
            return "ES256" if key.curve_name == "P-256" else None
        if isinstance(key, OKPKey):
            return "EdDSA" if key.curve_name == "Ed25519" else None
    except _MALFORMED:
        return None
    return None
