"""Signed requests (RFC 9101 within RFC 9126): what counts, and what does not."""

import json
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey

from operators.authorization_details import TYPE
from tests.oauth.assertions import confused, rsa_key, signed
from tests.oauth.code_flow import (
    REDIRECT,
    CodeFlow,
    answer_in,
    error_of,
    flowing,
    request_parameters,
)
from tests.oauth.licensed import license_operator
from tests.oauth.world import BROWSE, CLIENT, READ, World, on_both_stores

TYP = "oauth-authz-req+jwt"


def claims_for(flow: CodeFlow, **changed: Any) -> dict[str, Any]:
    """Return the claims of a good request object; ``changed`` replaces some, None removes."""
    now = flow.world.clock.now()
    claims = {
        **request_parameters(),
        "iss": CLIENT,
        "aud": flow.issuer,
        "client_id": CLIENT,
        "iat": now,
        "nbf": now,
        "exp": now + 300,
        **changed,
    }
    return {name: value for name, value in claims.items() if value is not None}


def sealed(flow: CodeFlow, claims: dict[str, Any], **header: Any) -> str:
    """Return a request object signed by the client."""
    key = ECKey.import_key(flow.identity.assertion_key.key)
    return signed(claims, key, **{"alg": "ES256", "typ": TYP, **header})


async def push(flow: CodeFlow, request: str, **more: str) -> httpx.Response:
    """Push a request object."""
    return await flow.post("par", {"request": request, **more})


@on_both_stores
async def test_signed_request_is_what_counts_and_nothing_beside_it(world: World) -> None:
    async with flowing(world, signed_requests=True) as flow:
        request = sealed(flow, claims_for(flow, max_age=60, state=None))
        pushed = await push(
            flow, request, redirect_uri="https://evil.test/", scope=BROWSE, state="outside"
        )
        assert pushed.status_code == 201, pushed.text
        interaction_id = await flow.opened(pushed.json()["request_uri"])
        asked = flow.desk.asked(interaction_id)
        assert asked is not None
        assert (asked.redirect_uri, asked.scopes, asked.max_age) == (REDIRECT, {READ}, 60)
        url = flow.approved(interaction_id)
        assert url is not None
        assert "state" not in answer_in(url)
        assert (await flow.redeem(answer_in(url)["code"])).status_code == 200


async def test_client_registered_to_sign_cannot_ask_without(world: World) -> None:
    async with flowing(world, signed_requests=True) as flow:
        assert error_of(await flow.push()) == (400, "invalid_request")
    async with flowing(world, signed_requests=False) as flow:
        assert (await flow.push()).status_code == 201
        assert (await push(flow, sealed(flow, claims_for(flow)))).status_code == 201


@on_both_stores
async def test_details_are_an_array_in_a_request_object(world: World) -> None:
    license_operator(world)
    details = [{"type": TYPE, "items": ["penalty"]}]
    async with flowing(world) as flow:
        for form in (details, json.dumps(details)):
            request = sealed(flow, claims_for(flow, authorization_details=form))
            pushed = await push(flow, request)
            assert pushed.status_code == 201, pushed.text
            asked = flow.desk.asked(await flow.opened(pushed.json()["request_uri"]))
            assert asked is not None
            assert [detail.as_json() for detail in asked.details] == details


async def test_request_object_is_good_for_an_hour_at_most_by_clocks_half_a_minute_apart(
    world: World,
) -> None:
    now = world.clock.now()
    taken = [
        {"nbf": now - 3_599, "exp": now + 1, "iat": None},
        {"nbf": now, "exp": now + 3_600},
        {"nbf": now + 10, "iat": now + 10},
        {"nbf": now + 30, "iat": now + 30},
    ]
    refused = [
        {"nbf": now - 3_600, "exp": now},
        {"nbf": now - 3_600, "exp": now - 1},
        {"nbf": now, "exp": now},
        {"nbf": now, "exp": now + 3_601},
        {"nbf": now + 31},
        {"nbf": now + 61},
        {"iat": now + 61},
        {"nbf": None},
        {"exp": None},
        {"exp": str(now + 60)},
    ]
    async with flowing(world) as flow:
        for changed in taken:
            answer = await push(flow, sealed(flow, claims_for(flow, **changed)))
            assert answer.status_code == 201, (changed, answer.text)
        for changed in refused:
            answer = await push(flow, sealed(flow, claims_for(flow, **changed)))
            assert error_of(answer) == (400, "invalid_request_object"), changed


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "https://other.test"},
        {"aud": None},
        {"aud": ["https://other.test"]},
        {"client_id": "office"},
        {"client_id": None},
        {"iss": "office"},
        {"request": "x"},
        {"request_uri": "urn:ietf:params:oauth:request_uri:x"},
        {"max_age": 1.5},
        {"prompt": True},
    ],
)
async def test_request_object_for_others_or_of_others_is_refused(
    world: World, changed: dict[str, Any]
) -> None:
    async with flowing(world) as flow:
        answer = await push(flow, sealed(flow, claims_for(flow, **changed)))
    assert error_of(answer) == (400, "invalid_request_object")


async def test_audience_may_be_one_of_a_list(world: World) -> None:
    async with flowing(world) as flow:
        claims = claims_for(flow, aud=["https://other.test", flow.issuer])
        assert (await push(flow, sealed(flow, claims))).status_code == 201


async def test_only_the_clients_own_signature_of_the_profile_counts(
    world: World,
) -> None:
    async with flowing(world) as flow:
        claims = claims_for(flow)
        good = sealed(flow, claims)
        head, body, signature = good.split(".")
        unsigned = "eyJhbGciOiJub25lIiwidHlwIjoib2F1dGgtYXV0aHotcmVxK2p3dCJ9"
        stranger = ECKey.generate_key("P-256")
        forged = [
            f"{unsigned}.{body}.",
            f"{head}.{body}.",
            f"{head}.{body}.{signature[:-4]}AAAA",
            f"{head}.{body[:-4]}AAAA.{signature}",
            confused(flow.identity, claims),
            sealed(flow, claims, typ="JWT"),
            sealed(flow, claims, typ=None),
            sealed(flow, claims, typ="dpop+jwt"),
            signed(claims, stranger, alg="ES256", typ=TYP),
            signed(claims, stranger, alg="ES256", typ=TYP, jwk=stranger.as_dict(private=False)),
            signed(claims, rsa_key(), alg="PS256", typ=TYP),
            signed(claims, rsa_key(), alg="RS256", typ=TYP),
            flow.authentication()["client_assertion"],
            "",
            "x.y.z",
            "." * 40,
            good + ".",
        ]
        for request in forged:
            # A parameter without a value counts as left out: then nothing is asked.
            error = "invalid_request_object" if request else "invalid_request"
            assert error_of(await push(flow, request)) == (400, error), request
        assert (await push(flow, sealed(flow, claims, typ=f"application/{TYP}"))).status_code == 201
