"""Client assertions: what is refused, and that each is used once (RFC 7523, RFC 8725)."""

import json
from typing import Any

import pytest
from authlib.oauth2.rfc6749 import InvalidClientError
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, OKPKey

from gateway.oauth.jose import ALGORITHMS, fits
from gateway.oauth.replay import SqlReplayCache
from gateway.oauth.rfc7523 import ASSERTION_SECONDS, SKEW_SECONDS, AssertionClaims, usable_until
from tests.oauth.assertions import (
    claims_of,
    confused,
    form_of,
    good_form,
    rsa_key,
    signed,
)
from tests.oauth.world import CLIENT, World, on_both_stores


async def _answer(world: World, issuer: str, assertion: str) -> tuple[int, str]:
    response = await world.post(issuer, form_of(assertion), world.identity.certificate)
    return response.status_code, response.json().get("error", "")


async def test_assertion_signed_by_another_key_is_refused(world: World) -> None:
    async with world.serving() as issuer:
        claims = claims_of(world.identity, issuer, world.clock.now())
        stranger = ECKey.generate_key("P-256")
        plain = await _answer(world, issuer, signed(claims, stranger, alg="ES256"))
        kid = ECKey.import_key(world.identity.assertion_key.key).thumbprint()
        named = await _answer(world, issuer, signed(claims, stranger, alg="ES256", kid=kid))
        embedded = await _answer(
            world,
            issuer,
            signed(claims, stranger, alg="ES256", jwk=stranger.as_dict(private=False)),
        )
    assert plain == named == embedded == (400, "invalid_client")


async def test_algorithms_outside_the_profile_are_refused(world: World) -> None:
    rsa = rsa_key()
    jwks = json.loads(world.identity.assertion_key.jwks)["keys"]
    world.change("client", CLIENT, jwks=json.dumps({"keys": [*jwks, rsa.as_dict(private=False)]}))
    async with world.serving() as issuer:
        now = world.clock.now()
        claims = claims_of(world.identity, issuer, now)
        refused = [
            await _answer(world, issuer, assertion)
            for assertion in (
                signed(claims, OctKey.generate_key(), alg="none"),
                confused(world.identity, claims),
                signed(claims, rsa, alg="RS256"),
            )
        ]
        accepted = await _answer(
            world, issuer, signed(claims_of(world.identity, issuer, now), rsa, alg="PS256")
        )
    assert refused == [(400, "invalid_client")] * 3
    assert accepted == (200, "")


async def test_ed25519_key_may_sign(world: World) -> None:
    key = OKPKey.generate_key("Ed25519")
    world.change("client", CLIENT, jwks=json.dumps({"keys": [key.as_dict(private=False)]}))
    async with world.serving() as issuer:
        claims = claims_of(world.identity, issuer, world.clock.now())
        answer = await _answer(world, issuer, signed(claims, key, alg="EdDSA"))
    assert answer == (200, "")


@pytest.mark.parametrize("registered", [None, "EdDSA", "Ed25519"])
@pytest.mark.parametrize("alg", ["EdDSA", "Ed25519"])
async def test_both_names_of_ed25519_are_one_algorithm(
    world: World, registered: str | None, alg: str
) -> None:
    key = OKPKey.generate_key("Ed25519", {"alg": registered} if registered else None)
    world.change("client", CLIENT, jwks=json.dumps({"keys": [key.as_dict(private=False)]}))
    async with world.serving() as issuer:
        claims = claims_of(world.identity, issuer, world.clock.now())
        answer = await _answer(world, issuer, signed(claims, key, alg=alg))
    assert answer == (200, "")


def test_keys_fit_their_own_algorithm_only() -> None:
    keys = {
        "ES256": ECKey.generate_key("P-256"),
        "PS256": rsa_key(),
        "EdDSA": OKPKey.generate_key("Ed25519"),
    }
    fitting = {(name, alg) for name, key in keys.items() for alg in ALGORITHMS if fits(key, alg)}
    assert fitting == {*((name, name) for name in keys), ("EdDSA", "Ed25519")}
    assert not fits(OKPKey.generate_key("Ed448"), "EdDSA")
    assert not fits(ECKey.generate_key("P-256", {"alg": "ES384"}), "ES256")


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "https://elsewhere.test"},
        {"aud": None},
        {"iss": "somebody"},
        {"iss": None},
        {"sub": "somebody"},
        {"sub": None},
        {"sub": ["alpha-one"]},
        {"jti": None},
        {"jti": ""},
        {"jti": "\ud800"},
        {"exp": None},
        {"exp": "soon"},
        {"exp": float("inf")},
        {"exp": True},
        {"iat": "now"},
    ],
)
async def test_assertion_with_wrong_claims_is_refused(
    world: World, changed: dict[str, Any]
) -> None:
    key = ECKey.import_key(world.identity.assertion_key.key)
    async with world.serving() as issuer:
        claims = claims_of(world.identity, issuer, world.clock.now(), **changed)
        assert await _answer(world, issuer, signed(claims, key, alg="ES256")) == (
            400,
            "invalid_client",
        )


async def test_assertion_for_several_audiences_is_refused(world: World) -> None:
    key = ECKey.import_key(world.identity.assertion_key.key)
    async with world.serving() as issuer:
        claims = claims_of(
            world.identity, issuer, world.clock.now(), aud=[issuer, "https://b.test"]
        )
        answer = await _answer(world, issuer, signed(claims, key, alg="ES256"))
    assert answer == (400, "invalid_client")


@pytest.mark.parametrize(
    ("iat", "exp", "status"),
    [
        (0, 60, 200),
        (0, 3600, 200),
        (None, 300, 200),
        (10, 70, 200),
        (-60, 0, 400),
        (-400, 3600, 400),
        (61, 120, 400),
        (None, 3600, 400),
    ],
)
async def test_assertion_is_usable_for_a_short_time_only(
    world: World, iat: int | None, exp: int, status: int
) -> None:
    key = ECKey.import_key(world.identity.assertion_key.key)
    now = world.clock.now()
    async with world.serving() as issuer:
        claims = claims_of(
            world.identity, issuer, now, iat=None if iat is None else now + iat, exp=now + exp
        )
        assert (await _answer(world, issuer, signed(claims, key, alg="ES256")))[0] == status


@on_both_stores
async def test_assertion_is_used_once_across_servers_on_one_store(world: World) -> None:
    key = ECKey.import_key(world.identity.assertion_key.key)
    async with world.serving() as first, world.serving() as second:
        assertion = signed(claims_of(world.identity, first, world.clock.now()), key, alg="ES256")
        again = [await _answer(world, first, assertion) for _ in range(2)]
        claims = claims_of(world.identity, first, world.clock.now(), jti="one-jti")
        here = await _answer(world, first, signed(claims, key, alg="ES256"))
        there = await _answer(world, second, signed({**claims, "aud": second}, key, alg="ES256"))
    assert again == [(200, ""), (400, "invalid_client")]
    assert here == (200, "")
    assert there == (400, "invalid_client")


@on_both_stores
async def test_jti_belongs_to_its_client_alone(world: World) -> None:
    async with world.serving() as issuer:
        answers: list[int] = []
        for identity in (world.identity, world.administrator):
            key = ECKey.import_key(identity.assertion_key.key)
            claims = claims_of(identity, issuer, world.clock.now(), jti="same")
            form = form_of(signed(claims, key, alg="ES256"))
            answers.append((await world.post(issuer, form, identity.certificate)).status_code)
    assert answers == [200, 200]


@on_both_stores
def test_used_jtis_are_forgotten_once_their_assertions_are_too_old(world: World) -> None:
    replay = SqlReplayCache(world.engine)
    assert replay.claim("a", "one", expires_at=1_100, now=1_000)
    assert not replay.claim("a", "one", expires_at=1_100, now=1_001)
    assert replay.claim("a", "two", expires_at=1_300, now=1_001)
    assert replay.sweep(1_100) == 0
    assert replay.sweep(1_101) == 1
    assert not replay.claim("a", "two", expires_at=1_300, now=1_102)


@on_both_stores
def test_sweep_comes_by_itself(world: World) -> None:
    replay = SqlReplayCache(world.engine)
    assert replay.claim("a", "one", expires_at=1_010, now=1_000)
    assert replay.claim("a", "two", expires_at=2_000, now=1_100)
    assert replay.sweep(1_100) == 0


_Seconds = st.integers(-10_000, 10_000)


@given(iat=st.none() | _Seconds, nbf=st.none() | _Seconds, exp=_Seconds)
def test_no_assertion_is_usable_longer_than_the_limit(
    iat: int | None, nbf: int | None, exp: int
) -> None:
    now = 1_000_000
    claims = AssertionClaims(
        iss="a",
        sub="a",
        aud="i",
        jti="j",
        exp=now + exp,
        iat=None if iat is None else now + iat,
        nbf=None if nbf is None else now + nbf,
    )
    try:
        until = usable_until(claims, "i", now)
    except InvalidClientError:
        return
    assert now < until <= now + ASSERTION_SECONDS + SKEW_SECONDS
    assert until <= now + exp
    assert nbf is None or nbf <= SKEW_SECONDS


@pytest.mark.parametrize(
    "assertion",
    [
        "x",
        "a.b.c",
        "e30.e30.",
        "bnVsbA.bnVsbA.AA",
        "eyJhbGciOltdfQ.eyJzdWIiOiJhbHBoYS1vbmUifQ.AA",
        "eyJhbGciOnt9fQ.eyJzdWIiOiJhbHBoYS1vbmUifQ.AA",
        "eyJhbGciOiJFUzI1NiJ9." + "W1tb" * 3_000 + ".AA",
        "W1tb" * 3_000 + ".e30.AA",
        "é.é.é",
    ],
)
async def test_malformed_assertion_is_refused_in_form(world: World, assertion: str) -> None:
    async with world.serving() as issuer:
        assert await _answer(world, issuer, assertion) == (400, "invalid_client")


async def test_assertion_is_needed(world: World) -> None:
    async with world.serving() as issuer:
        form = good_form(world.identity, issuer, world.clock.now())
        del form["client_assertion_type"]
        response = await world.post(issuer, form, world.identity.certificate)
    assert response.json()["error"] == "invalid_client"
