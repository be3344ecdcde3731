"""Pushed requests (RFC 9126): who may ask, and for what."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.oauth.authorization_request import AuthorizationRequest
from gateway.oauth.pushed_requests import (
    INTERACTION_SECONDS,
    MOST_LOADS,
    REQUEST_SECONDS,
    SqlPushedRequests,
)
from gateway.oauth.tables import INTERACTION, PUSHED_REQUEST
from operators.authorization_details import TYPE
from tests.examples import examples
from tests.oauth.code_flow import REDIRECT, error_of, flowing, request_parameters
from tests.oauth.proofs import new_key
from tests.oauth.world import AUDIENCE, BROWSE, CLIENT, OPERATOR, READ, World, on_both_stores


@on_both_stores
async def test_request_uri_is_short_lived_and_answers_are_not_cached(world: World) -> None:
    async with flowing(world) as flow:
        response = await flow.push()
    assert response.status_code == 201
    assert response.headers["cache-control"] == "no-cache, no-store"
    assert response.json().keys() == {"request_uri", "expires_in"}
    assert response.json()["request_uri"].startswith("urn:ietf:params:oauth:request_uri:")
    assert 5 <= response.json()["expires_in"] < 600


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_type": 'co"de'}, "unsupported_response_type"),
        ({"redirect_uri": None}, "invalid_request"),
        ({"redirect_uri": "https://client.test/back"}, "invalid_request"),
        ({"redirect_uri": REDIRECT + "&more=1"}, "invalid_request"),
        ({"redirect_uri": REDIRECT.upper()}, "invalid_request"),
        ({"redirect_uri": 'https://client.test/"'}, "invalid_request"),
        ({"redirect_uri": "https://evil.test/?kept=1"}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "x" * 42}, "invalid_request"),
        ({"code_challenge": "x" * 128}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"scope": "operators:create"}, "invalid_scope"),
        ({"scope": f"{READ} no:such"}, "invalid_scope"),
        ({"resource": "https://other.test"}, "invalid_target"),
        ({"audience": f"{AUDIENCE}/more"}, "invalid_target"),
        ({"state": "x" * 2_049}, "invalid_request"),
        ({"state": "st\nate"}, "invalid_request"),
        ({"state": "状态"}, "invalid_request"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"response_mode": "form_post"}, "invalid_request"),
        ({"request_uri": "urn:ietf:params:oauth:request_uri:x"}, "invalid_request"),
        ({"client_id": "office"}, "invalid_client"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"max_age": "9" * 10}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"acr_values": "x" * 513}, "invalid_request"),
        ({"dpop_jkt": "x" * 43}, "invalid_request"),
        ({"grant_management_action": "replace"}, "invalid_request"),
        ({"grant_id": "x"}, "invalid_request"),
        ({"authorization_details": "{}"}, "invalid_authorization_details"),
        (
            {"authorization_details": json.dumps([{"type": TYPE, "items": ["no.such"]}])},
            "invalid_authorization_details",
        ),
    ],
)
async def test_request_that_is_not_right_is_refused_where_it_is_pushed(
    world: World, changed: dict[str, str | None], error: str
) -> None:
    async with flowing(world) as flow:
        response = await flow.push(**changed)
    assert error_of(response) == (400, error)
    assert response.headers["cache-control"] == "no-store"
    assert "location" not in response.headers
    assert response.json()["error_description"]


@on_both_stores
async def test_request_at_the_limits_is_taken_with_all_it_says(world: World) -> None:
    async with flowing(world) as flow:
        request_uri = await flow.pushed(
            state="~" * 2_048,
            response_mode="query",
            max_age="0",
            acr_values="a b",
            prompt="login consent",
            resource=AUDIENCE,
            audience=AUDIENCE,
            grant_management_action="create",
            nonce="n" * 64,
            unknown="ignored",
        )
        asked = flow.desk.asked(await flow.opened(request_uri))
    assert asked is not None
    assert (asked.client_id, asked.redirect_uri, asked.scopes) == (CLIENT, REDIRECT, {READ})
    assert (asked.max_age, asked.acr_values, asked.prompt) == (0, ("a", "b"), "login consent")
    now = world.clock.now()
    assert (asked.asked_at, asked.expires_at) == (now, now + INTERACTION_SECONDS)


async def test_request_without_scope_asks_for_what_the_client_may_have(world: World) -> None:
    async with flowing(world) as flow:
        asked = flow.desk.asked(await flow.opened(await flow.pushed(scope=None)))
    assert asked is not None
    assert asked.scopes == {READ, BROWSE}


async def test_request_of_nobody_is_refused(world: World) -> None:
    async with flowing(world) as flow:
        url = f"{flow.issuer}/oauth/par"
        form = request_parameters()
        alone = await flow.http.post(url, data={**form, "client_id": CLIENT})
        assert error_of(alone) == (400, "invalid_client")
        twice = flow.authentication()
        assert (await flow.http.post(url, data={**form, **twice})).status_code == 201
        assert error_of(await flow.http.post(url, data={**form, **twice})) == (
            400,
            "invalid_client",
        )
        assert (await flow.http.get(url)).status_code == 405


async def test_suspended_operator_cannot_ask(world: World) -> None:
    async with flowing(world) as flow:
        world.change("operator", OPERATOR, state=OperatorState.OPERATOR_STATE_SUSPENDED)
        assert error_of(await flow.push()) == (400, "unauthorized_client")


async def test_proof_and_parameter_must_be_of_one_key(world: World) -> None:
    key, other = new_key(), new_key()
    async with flowing(world, binding="dpop") as flow:
        both = await flow.push(key, dpop_jkt=key.thumbprint())
        assert both.status_code == 201
        assert both.headers["dpop-nonce"]
        differing = await flow.push(key, dpop_jkt=other.thumbprint())
        assert error_of(differing) == (400, "invalid_dpop_proof")


def _request(client_id: str = CLIENT) -> AuthorizationRequest:
    return AuthorizationRequest(
        client_id=client_id,
        redirect_uri=REDIRECT,
        scope=READ,
        state=None,
        code_challenge="x" * 43,
        signed_response=False,
        jkt=None,
        details=(),
        acr_values="",
        max_age=None,
        prompt="",
    )


@on_both_stores
def test_request_uri_can_be_opened_until_its_end_by_its_client_and_not_for_ever(
    world: World,
) -> None:
    store, now = SqlPushedRequests(world.engine), world.clock.now()
    reference = store.push(_request(), now)
    assert store.begin(reference, "somebody", now) is None
    assert store.begin("x" * 43, CLIENT, now) is None
    assert store.begin(reference, CLIENT, now + REQUEST_SECONDS) is None
    ids = {store.begin(reference, CLIENT, now + REQUEST_SECONDS - 1) for _ in range(MOST_LOADS)}
    assert len(ids - {None}) == MOST_LOADS
    assert store.begin(reference, CLIENT, now) is None
    assert store.request(reference, CLIENT, now) is None


@on_both_stores
def test_of_all_interactions_of_a_request_one_decides(world: World) -> None:
    store, now = SqlPushedRequests(world.engine), world.clock.now()
    reference = store.push(_request(), now)
    first, second = store.begin(reference, CLIENT, now), store.begin(reference, CLIENT, now)
    assert first is not None
    assert second is not None
    assert store.deny(second, now)
    assert not store.deny(first, now)
    assert store.waiting(first, now) is None
    assert store.begin(reference, CLIENT, now) is None


@on_both_stores
def test_interaction_waits_ten_minutes_and_is_forgotten_after(world: World) -> None:
    store, now = SqlPushedRequests(world.engine), world.clock.now()
    interaction_id = store.begin(store.push(_request(), now), CLIENT, now + 80)
    assert interaction_id is not None
    end = now + 80 + INTERACTION_SECONDS
    assert store.waiting(interaction_id, end - 1) is not None
    assert store.waiting(interaction_id, end) is None
    assert not store.deny(interaction_id, end)
    SqlPushedRequests(world.engine).push(_request(), now + REQUEST_SECONDS + INTERACTION_SECONDS)
    with world.engine.connect() as connection:
        assert not connection.execute(select(INTERACTION)).all()
        assert len(connection.execute(select(PUSHED_REQUEST)).all()) == 1


@on_both_stores
def test_store_keeps_no_secret_that_could_be_used(world: World) -> None:
    store, now = SqlPushedRequests(world.engine), world.clock.now()
    reference = store.push(_request(), now)
    interaction_id = store.begin(reference, CLIENT, now)
    with world.engine.connect() as connection:
        kept = repr(connection.execute(select(PUSHED_REQUEST)).all())
        kept += repr(connection.execute(select(INTERACTION)).all())
    assert reference not in kept
    assert interaction_id is not None
    assert interaction_id not in kept


_PARAMETERS = st.sampled_from(
    ["state", "scope", "redirect_uri", "response_mode", "prompt", "max_age", "acr_values",
     "code_challenge", "code_challenge_method", "response_type", "dpop_jkt", "request",
     "authorization_details", "client_id", "grant_management_action"]
)  # fmt: skip


async def test_no_request_is_answered_by_a_fault_of_the_server(world: World) -> None:
    async with flowing(world) as flow:

        @given(st.dictionaries(_PARAMETERS, st.text(max_size=40), min_size=1, max_size=3))
        @settings(max_examples=examples(200), suppress_health_check=[HealthCheck.too_slow])
        def collect(changed: dict[str, str]) -> None:
            sent.append(changed)

        sent: list[dict[str, str]] = []
        collect()
        answers = {(await flow.push(**changed)).status_code for changed in sent}
    assert answers <= {201, 400}
