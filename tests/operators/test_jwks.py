"""Clients' keys: public ones of the profile, and none that would betray its holder."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey

from operators.jwks import public_jwks

EC = ECKey.generate_key("P-256")


def public(key: Key, **more: Any) -> dict[str, Any]:
    """Return the public half of a key."""
    return {**key.as_dict(private=False), **more}


def jwks(*keys: object) -> str:
    """Return a JWK Set."""
    return json.dumps({"keys": keys})


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(public(EC), id="P-256"),
        pytest.param(
            public(EC, alg="ES256", use="sig", kid="1", key_ops=["verify"]), id="labelled"
        ),
        pytest.param(public(RSAKey.generate_key(2048), alg="PS256"), id="RSA"),
        pytest.param(public(OKPKey.generate_key("Ed25519"), alg="EdDSA"), id="Ed25519"),
    ],
)
def test_a_public_key_of_the_profile_is_taken_as_it_is(key: dict[str, Any]) -> None:
    text = jwks(key)
    assert public_jwks(text) == text


@pytest.mark.parametrize(
    ("key", "mend"),
    [
        pytest.param(EC.as_dict(private=True), "replace this key", id="private"),
        pytest.param({**public(EC), "d": ""}, "replace this key", id="private member"),
        pytest.param(OctKey.generate_key(256).as_dict(), "public keys only", id="secret"),
        pytest.param(public(ECKey.generate_key("P-384")), "P-256", id="curve"),
        pytest.param(public(ECKey.generate_key("secp256k1")), "P-256", id="Koblitz curve"),
        pytest.param(public(OKPKey.generate_key("X25519")), "Ed25519", id="no signature key"),
        pytest.param(public(EC, alg="PS256"), "alg must be ES256", id="alg of another key"),
        pytest.param(public(EC, alg="none"), "alg must be", id="alg none"),
        pytest.param(public(EC, use="enc"), 'use must be "sig"', id="use"),
        pytest.param(public(EC, key_ops=["sign"]), "key_ops", id="key_ops"),
        pytest.param(public(EC, kid=1), "kid", id="kid is no text"),
        pytest.param({**public(EC), "x": "AAAA"}, "P-256", id="point off the curve"),
        pytest.param({**public(EC), "x": 777}, "P-256", id="coordinate is no text"),
        pytest.param({"kty": "EC"}, "P-256", id="members missing"),
        pytest.param({"kty": ["EC"]}, "P-256", id="kty is no text"),
        pytest.param({}, "P-256", id="empty"),
    ],
)
def test_any_other_key_is_refused_with_the_mend(key: dict[str, Any], mend: str) -> None:
    with pytest.raises(ValueError, match=mend) as refused:
        public_jwks(jwks(public(EC), key))
    assert str(refused.value).startswith("keys[1]: ")
    assert str(key.get("x", "?")) not in str(refused.value)


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_a_short_rsa_key_is_refused() -> None:
    short = rsa.generate_private_key(65537, 1024).public_key()
    pem = short.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(ValueError, match="2048"):
        public_jwks(jwks(public(RSAKey.import_key(pem))))


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("", "JSON"),
        ("[]", "JWK Set"),
        ("{}", "JWK Set"),
        ('{"keys": {}}', "JWK Set"),
        ('{"keys": [1]}', "JWK Set"),
        ('{"keys": []}', "1 to 8 keys"),
        ("[" * 30_000, "JSON"),
        (jwks(*[public(ECKey.generate_key("P-256")) for _ in range(9)]), "1 to 8 keys"),
        (jwks(public(EC), public(EC, kid="1"), public(EC, kid="1")), "kid of its own"),
        (jwks(public(EC)) + " " * 32_768, "32768 characters"),
    ],
)
def test_what_is_no_jwk_set_is_refused_with_the_mend(text: str, mend: str) -> None:
    with pytest.raises(ValueError, match=mend):
        public_jwks(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
MEMBERS = st.fixed_dictionaries(
    {},
    optional={
        name: st.sampled_from(["EC", "RSA", "OKP", "oct", "P-256", "Ed25519", "AQAB"]) | JSON
        for name in ("kty", "crv", "x", "y", "n", "e", "kid", "alg", "use", "key_ops")
    },
)


@given(st.text() | st.lists(MEMBERS | JSON, max_size=3).map(lambda keys: jwks(*keys)))
def test_anything_entered_gets_a_mend_and_no_other_error(text: str) -> None:
    try:
        public_jwks(text)
    except ValueError as error:
        assert str(error)
