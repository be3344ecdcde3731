"""JWTs that are not what they say, each by one trick of RFC 8725 or RFC 7515 section 10."""

import hmac
import json
from collections.abc import Iterator
from typing import Any, Final

from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from tests.parties import Key, encoded

_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def segment(part: Any) -> str:
    """Return one part of a JWT; bytes as they are, everything else as JSON."""
    return encoded(part if isinstance(part, bytes) else json.dumps(part).encode())


def signed(header: Any, claims: Any, key: Key, alg: str = "ES256") -> str:
    """Return a JWT with a good signature of ``key``, whatever its header says."""
    body = f"{segment(header)}.{segment(claims)}"
    return f"{body}.{encoded(JWSRegistry.algorithms[alg].sign(body.encode(), key))}"


def sealed(header: Any, claims: Any, secret: bytes) -> str:
    """Return a JWT with an HMAC where a signature is wanted."""
    body = f"{segment(header)}.{segment(claims)}"
    return f"{body}.{encoded(hmac.digest(secret, body.encode(), 'sha256'))}"


def forgeries(
    header: dict[str, Any], claims: dict[str, Any], public: Key, lure: str
) -> Iterator[tuple[str, str]]:
    """Give (trick, JWT) for a JWT whose real signer's public key is ``public``.

    ``header`` and ``claims`` are those of a good one; ``lure`` is an https URL at which
    the attacker serves a key set.
    """
    own = ECKey.generate_key("P-256")
    jwk = own.as_dict(private=False)
    yield from _unsigned(header, claims)
    yield from _confused(header, claims, public, own)
    for name, value in (("jwk", jwk), ("jku", lure), ("x5u", lure), ("x5c", [encoded(b"no DER")])):
        yield name, signed({**header, name: value}, claims, own)
        unnamed = {key: each for key, each in header.items() if key != "kid"}
        yield f"{name} without kid", signed({**unnamed, name: value}, claims, own)
    kid = own.thumbprint()
    yield "kid of its own key", signed({**header, "kid": kid, "jwk": jwk}, claims, own)
    for path in ("../../../../dev/null", "/dev/null", f"file://{lure}", "' UNION SELECT '", "\0"):
        yield f"kid {path!r}", sealed({**header, "alg": "HS256", "kid": path}, claims, b"")
        yield f"kid {path!r} signed", signed({**header, "kid": path}, claims, own)
    for value in (None, 1, True, [header.get("kid")], {"kid": kid}, ""):
        yield f"kid of type {value!r}", signed({**header, "kid": value}, claims, own)
    for crit in (["b64"], ["exp"], [], "exp", [1]):
        yield f"crit {crit!r}", signed({**header, "crit": crit, "b64": False}, claims, own)


def _unsigned(header: dict[str, Any], claims: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for alg in ("none", "None", "NONE", "nOnE", ""):
        body = f"{segment({**header, 'alg': alg})}.{segment(claims)}"
        yield f"alg {alg!r}", f"{body}."
        yield f"alg {alg!r} with a signature", f"{body}.{encoded(b'x' * 64)}"
        yield f"alg {alg!r} in two parts", body
    body = f"{segment(header)}.{segment(claims)}"
    yield "empty signature", f"{body}."
    # CVE-2022-21449: r = s = 0, and what is the same modulo the order.
    yield "psychic signature", f"{body}.{encoded(bytes(64))}"
    order = _ORDER.to_bytes(32, "big")
    yield "signature of the order", f"{body}.{encoded(order + order)}"
    yield "short signature", f"{body}.{encoded(b'1')}"
    duplicate = f'{{"alg":"{header["alg"]}","alg":"none","typ":"{header.get("typ", "JWT")}"}}'
    yield "alg twice", f"{segment(duplicate.encode())}.{segment(claims)}."
    for value in (None, 1, ["none"], {"alg": "none"}, [header["alg"]]):
        yield f"alg of type {value!r}", f"{segment({**header, 'alg': value})}.{segment(claims)}."


def _confused(
    header: dict[str, Any], claims: dict[str, Any], public: Key, own: ECKey
) -> Iterator[tuple[str, str]]:
    pem = public.as_pem(private=False)
    secrets = {
        "PEM": pem,
        "PEM without newline": pem.strip(),
        "DER": public.as_der(private=False),
        "JWK": json.dumps(public.as_dict(private=False)).encode(),
        "nothing": b"",
    }
    for name, secret in secrets.items():
        for alg in ("HS256", header["alg"]):
            yield f"{alg} by {name}", sealed({**header, "alg": alg}, claims, secret)
    yield "RS256", signed({**header, "alg": "RS256"}, claims, RSAKey.generate_key(2048), "RS256")
    yield (
        "another curve",
        signed({**header, "alg": "ES384"}, claims, ECKey.generate_key("P-384"), "ES384"),
    )
    yield (
        "ES256K",
        signed({**header, "alg": "ES256K"}, claims, ECKey.generate_key("secp256k1"), "ES256K"),
    )
    ed25519 = OKPKey.generate_key("Ed25519")
    yield "EdDSA said, nobody's key", signed({**header, "alg": "EdDSA"}, claims, ed25519, "EdDSA")
    yield "own key under the signer's name", signed(header, claims, own)


def bombs(header: dict[str, Any], claims: dict[str, Any], key: Key) -> Iterator[tuple[str, str]]:
    """Give (kind, JWT) that cost a careless reader its stack, memory or time.

    Those of a JWT's form are signed by ``key``: registered clients make bombs too.
    """
    deep = b'{"a":' + b"[" * 4_000 + b"]" * 4_000 + b"}"
    deeper = b'{"a":' * 1_500 + b"1" + b"}" * 1_500
    for name, content in (("arrays", deep), ("objects", deeper), ("opened", b"[" * 8_000)):
        yield f"header of {name}", signed(content, claims, key)
        yield f"claims of {name}", signed(header, content, key)
    for name in ("jti", "sub"):
        yield f"long {name}", signed(header, {**claims, name: "y" * 8_000}, key)
    yield "huge header", signed({**header, "x": "y" * 8_000}, claims, key)
    yield "huge kid", signed({**header, "kid": "k" * 8_000}, claims, key)
    fields = {f"h{number}": number for number in range(600)}
    yield "many header fields", signed(fields | header, claims, key)
    for name in ("exp", "iat", "nbf"):
        others = json.dumps({each: claims[each] for each in claims if each != name})[:-1]
        for number in (
            "9" * 8_000,
            "1e999999",
            "-1e999999",
            "NaN",
            "Infinity",
            "true",
            "[]",
            '"1"',
        ):
            content = f'{others}, "{name}": {number}}}'.encode()
            yield f"{name} of {number[:9]}", signed(header, content, key)
    surrogate = json.dumps({**header, "kid": "\ud800"}).encode()
    yield "lone surrogate", signed(surrogate, claims, key)
    yield "bytes that are no UTF-8", signed(bytes(range(128, 256)), claims, key)
    yield "zip", signed({**header, "zip": "DEF", "crit": ["zip"]}, claims, key)
    body = segment(claims)
    yield "many segments", "." * 9_000
    yield "many small segments", ".".join(["e30"] * 2_500)
    yield "five parts", f"{segment({'alg': 'dir', 'enc': 'A256GCM'})}..{body}.{body}.{body}"
    slow = {"alg": "PBES2-HS256+A128KW", "p2c": 10**9, "p2s": "AA", "enc": "A128GCM"}
    yield "a billion rounds", f"{segment(slow)}.{body}.{body}.{body}.{body}"
