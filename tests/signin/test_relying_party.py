"""The relying party believes its provider's answers only where all of them hold."""

import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey
from sqlalchemy import Engine

from gateway.pki.development import make_ca
from gateway.signin.provider import IdentityProvider, SignInFailed
from gateway.signin.tls import trusting
from operators.administrators import BASIC_ACR, STRONG_ACR
from tests.clock import NOW
from tests.parties import jws
from tests.signin.provider import (
    CLIENT,
    REDIRECT,
    STRONG,
    World,
    assertion_claims,
    certify,
    running_world,
    unsigned,
)
from tests.stores import SqliteStores, engines_of


@pytest.fixture(scope="module")
def engine(sqlite_stores: SqliteStores) -> Any:
    """A store for all tests: attempts are tested on both kinds elsewhere."""
    with sqlite_stores.database() as store, engines_of(*store) as engines:
        yield engines.authority


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the provider's certificate."""
    folder = tmp_path_factory.mktemp("provider")
    certify(folder)
    return folder


@pytest.fixture
async def world(engine: Engine, certified: Path) -> AsyncIterator[World]:
    """A relying party and a provider."""
    async with running_world(engine, certified) as world:
        yield world


async def refused(world: World, attempt: Any, **answer: str) -> SignInFailed:
    """Return why an answer signs nobody in."""
    with pytest.raises(SignInFailed) as refusal:
        await world.identity(attempt, **answer)
    return refusal.value


async def test_a_browser_is_sent_with_state_nonce_challenge_and_freshness(world: World) -> None:
    attempt = world.attempt(max_age=7)
    query = await world.sign_in_query(attempt)
    assert query["client_id"] == CLIENT
    assert query["redirect_uri"] == REDIRECT
    assert query["response_type"] == "code"
    assert query["scope"] == "openid profile"
    assert (query["state"], query["nonce"]) == (attempt.state, attempt.nonce)
    assert query["code_challenge_method"] == "S256"
    assert query["code_challenge"] != attempt.code_verifier
    assert query["max_age"] == "7"
    assert not {"acr_values", "prompt"} & query.keys()
    strong = await world.sign_in_query(attempt, strong=True, again=True)
    assert (strong["acr_values"], strong["prompt"]) == (STRONG, "login")


async def test_who_signed_in_is_told_with_time_and_strength(world: World) -> None:
    attempt = world.attempt()
    world.provider.answers(attempt, name="张\u202e莉", acr=STRONG, auth_time=NOW - 30)
    found = await world.identity(attempt)
    assert (found.issuer, found.subject, found.name) == (world.provider.issuer, "p-1", "张莉")
    assert (found.acr, found.auth_time) == (STRONG_ACR, NOW - 30)
    world.provider.answers(attempt, acr="urn:test:password")
    found = await world.identity(attempt)
    assert (found.name, found.acr) == ("p-1", BASIC_ACR)


async def test_the_code_is_redeemed_with_verifier_and_a_signed_assertion(world: World) -> None:
    attempt = world.attempt()
    world.provider.answers(attempt)
    await world.identity(attempt, code="the-code")
    (form,) = world.provider.asked
    assert (form["grant_type"], form["code"]) == ("authorization_code", "the-code")
    assert (form["redirect_uri"], form["code_verifier"]) == (REDIRECT, attempt.code_verifier)
    claims = assertion_claims(form)
    assert claims["iss"] == claims["sub"] == CLIENT
    assert claims["aud"] == world.provider.issuer
    assert NOW < claims["exp"] <= NOW + 60
    assert len(claims["jti"]) >= 16


async def test_a_company_counts_only_where_the_provider_has_verified_it(world: World) -> None:
    attempt, code = world.attempt(), "91000000DEM000011A"
    world.provider.answers(attempt, uscc=code, uscc_verified=True)
    assert (await world.identity(attempt)).uscc == code
    for claims in ({"uscc": code}, {"uscc": code[:-1] + "B", "uscc_verified": True}):
        world.provider.answers(attempt, **claims)
        assert (await world.identity(attempt)).uscc == ""


@pytest.mark.parametrize(
    "changed",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "another-client"},
        {"aud": [CLIENT, "another-client"]},
        {"aud": [CLIENT, "another-client"], "azp": "another-client"},
        {"azp": "another-client"},
        {"aud": "another-client", "azp": CLIENT},
        {"aud": None},
        {"iss": "https://elsewhere.test"},
        {"iss": None},
        {"exp": NOW - 11},
        {"exp": None},
        {"iat": NOW + 60},
        {"nbf": NOW + 60},
        {"sub": None},
        {"sub": ""},
        {"sub": "x" * 256},
        {"sub": 7},
        {"auth_time": None},
        {"auth_time": str(NOW)},
        {"auth_time": NOW - 71},
        {"auth_time": NOW + 11},
        {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
        {"name": ["a"]},
        {"uscc_verified": "yes"},
    ],
    ids=json.dumps,
)
async def test_claims_that_do_not_hold_sign_nobody_in(
    world: World, changed: dict[str, Any]
) -> None:
    attempt = world.attempt(max_age=60)
    world.provider.answers(attempt, **changed)
    assert (await refused(world, attempt)).reason == "not-believed"


async def test_a_sign_in_older_than_asked_is_not_believed_when_a_fresh_one_was(
    world: World,
) -> None:
    attempt = world.attempt(max_age=0)
    world.provider.answers(attempt, auth_time=NOW - 11)
    assert (await refused(world, attempt)).reason == "not-believed"
    world.provider.answers(attempt, auth_time=NOW)
    assert (await world.identity(attempt)).auth_time == NOW


async def test_only_the_providers_keys_and_the_profiles_algorithms_sign(world: World) -> None:
    attempt, provider = world.attempt(), world.provider
    provider.answers(attempt)
    stranger = ECKey.generate_key("P-256")
    public = json.dumps(provider.published[0]).encode()
    forged = [
        unsigned({"alg": "none"}, provider.claims),
        unsigned(provider.header, provider.claims),
        jws(provider.header, provider.claims, stranger),
        jws({**provider.header, "kid": stranger.thumbprint()}, provider.claims, stranger),
        jws({"alg": "ES256", "jwk": provider.public(stranger)}, provider.claims, stranger),
        jws(
            {"alg": "HS256", "kid": provider.key.thumbprint()},
            provider.claims,
            OctKey.import_key(public),  # pyright: ignore[reportArgumentType]
        ),
        "a.b",
        "é.é.é",
        "x" * 20_000,
    ]
    for token in forged:
        provider.id_token = token
        assert (await refused(world, attempt)).reason == "not-believed", token[:40]
    provider.id_token = None
    assert (await world.identity(attempt)).subject == "p-1"


async def test_a_new_key_is_fetched_once_and_made_up_ones_not_each_time(world: World) -> None:
    attempt, provider = world.attempt(), world.provider
    provider.answers(attempt)
    await world.identity(attempt)
    assert provider.key_fetches == 1
    world.clock.at += 10
    provider.key = ECKey.generate_key("P-256")
    provider.published.append(provider.public(provider.key))
    provider.header = {"alg": "ES256", "kid": provider.key.thumbprint()}
    await world.identity(attempt)
    assert provider.key_fetches == 2
    for number in range(5):
        provider.header = {"alg": "ES256", "kid": f"made-up-{number}"}
        await refused(world, attempt)
    assert provider.key_fetches == 2


async def test_an_answer_that_names_another_provider_or_none_is_refused(world: World) -> None:
    attempt = world.attempt()
    world.provider.answers(attempt)
    for issuer in ("https://elsewhere.test", "", "é"):
        assert (await refused(world, attempt, iss=issuer)).reason == "not-believed"
    # Nothing was sent to the token endpoint: a mixed-up code stays unseen there.
    assert world.provider.asked == []


async def test_an_error_of_the_provider_signs_nobody_in(world: World) -> None:
    attempt = world.attempt()
    assert (await refused(world, attempt, error="access_denied")).reason == "declined"
    assert (await refused(world, attempt, code="")).reason == "not-believed"
    world.provider.status, world.provider.body = 400, b'{"error": "invalid_grant"}'
    assert (await refused(world, attempt)).reason == "declined"


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (500, b"{}", "unavailable"),
        (302, b"{}", "unavailable"),
        (200, b"not json", "not-believed"),
        (200, b"[]", "not-believed"),
        (200, b'{"access_token": "a"}', "not-believed"),
    ],
)
async def test_an_answer_that_is_none_signs_nobody_in(
    world: World, status: int, body: bytes, reason: str
) -> None:
    attempt = world.attempt()
    world.provider.status, world.provider.body = status, body
    assert (await refused(world, attempt)).reason == reason


@pytest.mark.parametrize(
    "changed",
    [
        {"issuer": "https://elsewhere.test"},
        {"authorization_endpoint": "http://localhost/authorize"},
        {"token_endpoint": None},
        {"too_large": "x" * 300_000},
    ],
    ids=lambda changed: next(iter(changed)),
)
async def test_a_discovery_document_that_does_not_hold_is_not_used(
    world: World, changed: dict[str, Any]
) -> None:
    world.provider.metadata = changed
    with pytest.raises(SignInFailed) as refusal:
        await world.sign_in_query(world.attempt())
    assert refusal.value.reason == "not-believed"


async def test_a_provider_whose_certificate_is_not_trusted_is_not_reached(
    world: World, tmp_path: Path
) -> None:
    make_ca("another root", int(time.time())).write(tmp_path / "other.pem", tmp_path / "other.key")
    provider = IdentityProvider(
        replace(world.settings, tls=trusting(tmp_path / "other.pem")), world.clock
    )
    with pytest.raises(SignInFailed) as refusal:
        await provider.metadata()
    await provider.close()
    assert refusal.value.reason == "unavailable"
