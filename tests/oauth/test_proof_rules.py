"""What makes a proof good (RFC 9449 section 4.3), and the nonces it needs (section 8)."""

import json
import stat
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from gateway.oauth.dpop_nonces import (
    LIFE_SECONDS,
    DpopNonces,
    _first_key,  # pyright: ignore[reportPrivateUsage]
)
from gateway.oauth.htu import normalised_uri
from gateway.oauth.rfc9449 import (
    MOST_CHARACTERS,
    PROOF_SECONDS,
    SKEW_SECONDS,
    DpopProof,
    InvalidProof,
    token_hash,
    verified_proof,
)
from tests.clock import NOW
from tests.oauth.assertions import signed
from tests.oauth.proofs import (
    new_key,
    proof_claims,
    proof_header,
    proof_of,
    signed_whatever_it_says,
)

URI = "https://issuer.test/oauth/token"
KEY = new_key()
TOKEN = "an.access.token"


def _read(proof: str, token: str | None = None, now: int = NOW) -> DpopProof:
    return verified_proof(proof, method="POST", uri=URI, now=now, token=token)


def _is_refused(proof: str, token: str | None = None) -> str:
    with pytest.raises(InvalidProof) as refused:
        _read(proof, token)
    return str(refused.value)


@pytest.mark.parametrize(
    ("key", "alg"),
    [
        (ECKey.generate_key("P-256"), "ES256"),
        (RSAKey.generate_key(2_048), "PS256"),
        (OKPKey.generate_key("Ed25519"), "EdDSA"),
    ],
    ids=["ES256", "PS256", "EdDSA"],
)
def test_proof_by_a_key_of_the_profile_tells_whose_it_is(key: Any, alg: str) -> None:
    proof = signed(proof_claims(URI, NOW, nonce="n"), key, **proof_header(key, alg=alg))
    read = _read(proof)
    assert read.thumbprint == key.thumbprint()
    assert read.nonce == "n"


def test_parameters_of_the_header_that_mean_nothing_here_are_ignored() -> None:
    header = proof_header(KEY, kid="../../x", jku="https://evil.test/jwks", x5u="https://e.test")
    assert _read(signed(proof_claims(URI, NOW), KEY, **header, other=1)).thumbprint == (
        KEY.thumbprint()
    )


def _jwk(**changed: Any) -> dict[str, Any]:
    return {**KEY.as_dict(private=False), **changed}


@pytest.mark.parametrize(
    "changed",
    [
        {"typ": None},
        {"typ": "JWT"},
        {"typ": "at+jwt"},
        {"typ": "DPOP+JWT"},
        {"typ": 1},
        {"alg": "ES384"},
        {"alg": "PS256"},
        {"alg": ["ES256"]},
        {"jwk": None},
        {"jwk": "key"},
        {"jwk": []},
        {"jwk": {}},
        {"jwk": KEY.as_dict(private=True)},
        {"jwk": _jwk(d="")},
        {"jwk": _jwk(k="AA")},
        {"jwk": _jwk(x="AA")},
        {"jwk": _jwk(y=None)},
        {"jwk": _jwk(crv="P-384")},
        {"jwk": _jwk(crv="secp256k1")},
        {"jwk": _jwk(kty="oct", k="AA")},
        {"jwk": _jwk(kty=["EC"])},
        {"jwk": _jwk(use="enc")},
        {"jwk": _jwk(alg="ES384")},
        {"jwk": new_key().as_dict(private=False)},
        {"crit": ["b64"], "b64": False},
        {"crit": []},
        {"b64": False},
        {"jku": 1},
    ],
)
def test_proof_with_a_wrong_header_is_refused(changed: dict[str, Any]) -> None:
    header = proof_header(KEY) | changed
    _is_refused(signed_whatever_it_says(proof_claims(URI, NOW), KEY, header))


def test_proof_signed_by_no_key_of_its_own_is_refused() -> None:
    claims, secret = proof_claims(URI, NOW), OctKey.generate_key(256)
    for alg in ("none", "HS256"):
        for jwk in (KEY.as_dict(private=False), secret.as_dict()):
            _is_refused(signed(claims, secret, **proof_header(KEY, alg=alg, jwk=jwk)))
    _is_refused(signed(claims, new_key(), **proof_header(KEY)))


def test_keys_outside_the_profile_are_refused() -> None:
    for key, alg in (
        (ECKey.generate_key("P-384"), "ES384"),
        (OKPKey.generate_key("Ed448"), "EdDSA"),
        (RSAKey.generate_key(2_048), "RS256"),
    ):
        _is_refused(signed(proof_claims(URI, NOW), key, **proof_header(key, alg=alg)))


def test_long_exponents_are_refused_before_they_cost_anything() -> None:
    for exponent in ("AQAAAAAAAAAB", RSAKey.generate_key(2_048)["n"]):
        slow = {**RSAKey.generate_key(2_048).as_dict(private=False), "e": exponent}
        proof = signed(proof_claims(URI, NOW), KEY, **proof_header(KEY, jwk=slow))
        assert "jwk" in _is_refused(proof)


@pytest.mark.parametrize(
    "changed",
    [
        {"jti": None},
        {"jti": ""},
        {"jti": "x" * 257},
        {"jti": 1},
        {"jti": "\ud800"},
        {"htm": None},
        {"htm": "GET"},
        {"htm": "post"},
        {"htm": ["POST"]},
        {"htu": None},
        {"htu": "https://issuer.test/oauth/par"},
        {"htu": "http://issuer.test/oauth/token"},
        {"htu": "https://issuer.test:444/oauth/token"},
        {"htu": "https://issuer.test.evil/oauth/token"},
        {"htu": "https://issuer.test/oauth/token/"},
        {"htu": "https://user@issuer.test/oauth/token"},
        {"htu": "https://issuer.test/oauth/tok\ten"},
        {"htu": "/oauth/token"},
        {"htu": ""},
        {"iat": None},
        {"iat": "now"},
        {"iat": True},
        {"iat": float("nan")},
        {"iat": float("inf")},
        {"iat": NOW + SKEW_SECONDS + 1},
        {"iat": NOW - PROOF_SECONDS},
        {"iat": 10**400},
        {"nbf": NOW + SKEW_SECONDS + 1},
        {"exp": NOW},
        {"nonce": ""},
        {"nonce": 'a"b'},
        {"nonce": "é"},
        {"nonce": "x" * 257},
        {"nonce": 1},
    ],
)
def test_proof_with_wrong_claims_is_refused(changed: dict[str, Any]) -> None:
    _is_refused(proof_of(KEY, URI, NOW, **changed))


def test_proof_is_for_one_access_token() -> None:
    assert _read(proof_of(KEY, URI, NOW, TOKEN), TOKEN).thumbprint == KEY.thumbprint()
    for other in (None, token_hash("another"), TOKEN, ""):
        assert "ath" in _is_refused(proof_of(KEY, URI, NOW, TOKEN, ath=other), TOKEN)


@given(iat=st.integers(-1_000, 1_000) | st.floats(-1_000, 1_000))
def test_proof_is_usable_for_a_minute_and_no_longer(iat: float) -> None:
    proof = proof_of(KEY, URI, NOW, iat=NOW + iat)
    try:
        until = _read(proof).usable_until
    except InvalidProof:
        assert iat > SKEW_SECONDS or iat <= -PROOF_SECONDS
        return
    assert NOW < until <= NOW + PROOF_SECONDS + SKEW_SECONDS
    with pytest.raises(InvalidProof):
        _read(proof, now=until)


@given(data=st.data())
def test_any_bit_flipped_in_a_proof_is_refused(data: st.DataObject) -> None:
    proof = proof_of(KEY, URI, NOW, nonce="n")
    place = data.draw(st.integers(0, len(proof) - 1))
    flipped = chr(ord(proof[place]) ^ 1 << data.draw(st.integers(0, 7)))
    _is_refused(proof[:place] + flipped + proof[place + 1 :])


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["kty", "crv", "x", "y", "n", "e", "d", "k"]), inner)
    ),
    max_leaves=6,
)


@given(
    part=st.sampled_from(["header", "claims"]),
    name=st.sampled_from(["typ", "alg", "jwk", "crit", "jti", "htm", "htu", "iat", "ath", "nonce"]),
    value=_JSON,
)
def test_whatever_a_proof_says_it_is_read_or_refused_in_form(
    part: str, name: str, value: Any
) -> None:
    header, claims = proof_header(KEY), proof_claims(URI, NOW, TOKEN)
    (header if part == "header" else claims)[name] = value
    proof = signed_whatever_it_says(claims, KEY, header)
    try:
        assert _read(proof, TOKEN).thumbprint == KEY.thumbprint()
    except InvalidProof as error:
        assert str(error).isascii()
        assert '"' not in str(error)


@pytest.mark.parametrize(
    "proof",
    [
        "",
        "x",
        "a.b.c",
        "e30.e30.",
        "bnVsbA.bnVsbA.AA",
        "é.é.é",
        "W1tb" * 900 + ".e30.AA",
        proof_of(KEY, URI, NOW) + ", " + proof_of(KEY, URI, NOW),
        proof_of(KEY, URI, NOW) + "." + "A" * MOST_CHARACTERS,
        json.dumps({"payload": "e30", "signatures": []}),
    ],
)
def test_text_that_is_no_proof_is_refused(proof: str) -> None:
    _is_refused(proof)


@pytest.mark.parametrize(
    "other",
    [
        "HTTPS://ISSUER.test/oauth/token",
        "https://issuer.test:443/oauth/token",
        "https://issuer.test:/oauth/token",
        "https://issuer.test/oauth/token?a=b",
        "https://issuer.test/oauth/token#a",
        "https://issuer.test/oauth/%74oken",
        "https://issuer.test/x/../oauth/./token",
    ],
)
def test_one_uri_in_other_spellings_is_the_same(other: str) -> None:
    assert _read(proof_of(KEY, other, NOW)).thumbprint == KEY.thumbprint()


_SEGMENT = st.text(st.characters(min_codepoint=1, max_codepoint=0x2FF), min_size=1, max_size=6)


@given(segments=st.lists(_SEGMENT, max_size=4), port=st.integers(1, 65_535), data=st.data())
def test_normalised_uri_is_the_same_for_every_spelling(
    segments: list[str], port: int, data: st.DataObject
) -> None:
    assume(not {".", ".."} & set(segments))
    path = "".join("/" + quote(segment, safe="") for segment in segments)
    uri = f"https://Gate.test:{port}{path}"
    once = normalised_uri(uri)
    assert normalised_uri(once) == once
    everything = "".join("/" + "".join(f"%{b:02x}" for b in s.encode()) for s in segments)
    assert normalised_uri(f"HTTPS://gATE.test:{port:06d}{everything}?{path}#x") == once
    other = data.draw(st.lists(_SEGMENT, max_size=4))
    assume(other != segments and not {".", ".."} & set(other))
    elsewhere = "".join("/" + quote(segment, safe="") for segment in other)
    assert normalised_uri(f"https://gate.test:{port}{elsewhere}") != once


@given(st.text(max_size=40) | st.from_regex(r"https://[a-z%\[\]:@/.0-9]{0,20}", fullmatch=True))
def test_any_text_is_normalised_or_refused(text: str) -> None:
    try:
        assert normalised_uri(normalised_uri(text)) == normalised_uri(text)
    except ValueError:
        return


@pytest.mark.parametrize("uri", ["https://[::1]:443/a", "https://[::1]/a", "https://[0:0::1]/a"])
def test_addresses_of_ipv6_are_kept_in_brackets(uri: str) -> None:
    assert normalised_uri(uri).startswith("https://[")
    assert normalised_uri(uri).endswith("]/a")


@given(given_at=st.integers(0, 300), age=st.integers(-200, 300))
@example(given_at=59, age=60)
@example(given_at=89, age=60)
@example(given_at=0, age=121)
def test_nonce_is_good_for_a_minute_at_least_and_two_at_most(given_at: int, age: int) -> None:
    nonces = DpopNonces(b"A" * 43 + b"=")
    nonces.current(NOW)
    moment = NOW + given_at
    nonce = nonces.current(moment)
    accepted = nonces.accepts(nonce, moment + age)
    if 0 <= age <= 60:
        assert accepted
    if age > LIFE_SECONDS:
        assert not accepted


def test_nonce_of_another_key_is_none_of_ours(tmp_path: Path) -> None:
    ours, theirs = (DpopNonces.kept_in(tmp_path / name / "nonces.key") for name in ("a", "b"))
    assert ours.accepts(ours.current(NOW), NOW)
    assert not ours.accepts(theirs.current(NOW), NOW)


@given(st.text(st.characters(codec="ascii"), max_size=200))
def test_no_text_is_taken_for_a_nonce(text: str) -> None:
    assert not DpopNonces(b"A" * 43 + b"=").accepts(text, NOW)


def test_key_of_the_nonces_is_its_owners_and_one_for_all_processes(tmp_path: Path) -> None:
    file = tmp_path / "keys" / "nonces.key"
    start = threading.Barrier(8)
    opened: list[DpopNonces] = []

    def open_it() -> None:
        start.wait()
        opened.append(DpopNonces.kept_in(file))

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    nonce = DpopNonces.kept_in(file).current(NOW)
    assert [nonces.accepts(nonce, NOW) for nonces in opened] == [True] * 8
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["nonces.key"]


def test_key_that_another_process_made_meanwhile_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "nonces.key"
    first = _first_key(file)
    assert _first_key(file) == first == file.read_bytes()
    assert list(tmp_path.iterdir()) == [file]


def test_file_that_holds_no_key_is_told_with_the_mend(tmp_path: Path) -> None:
    file = tmp_path / "nonces.key"
    for content in (b"", b"short", b"\xff" * 44):
        file.write_bytes(content)
        with pytest.raises(ValueError, match="remove it"):
            DpopNonces.kept_in(file)
