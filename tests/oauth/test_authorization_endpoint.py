"""The authorisation endpoint: whom it sends where, and whom nowhere."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from creditgate.refusal import Refused
from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.oauth.interactions import Approval
from gateway.oauth.pushed_requests import REQUEST_SECONDS
from operators.authorization_details import TYPE, AuthorizationDetail
from tests.oauth.code_flow import (
    ACR,
    PERSON,
    REDIRECT,
    answer_in,
    flowing,
    request_parameters,
)
from tests.oauth.licensed import license_operator
from tests.oauth.world import BROWSE, CLIENT, OPERATOR, READ, World, on_both_stores


async def test_browser_is_sent_on_by_303_and_tells_nobody_where_it_was(world: World) -> None:
    async with flowing(world) as flow:
        response = await flow.browse(await flow.pushed())
    assert response.status_code == 303
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["cache-control"] == "no-store"


async def test_what_the_browser_brings_besides_is_not_read(world: World) -> None:
    async with flowing(world) as flow:
        evil = {"redirect_uri": "https://evil.test/", "state": "evil", "scope": BROWSE}
        response = await flow.browse(await flow.pushed(), **evil)
        asked = flow.desk.asked(response.headers["location"].rpartition("/")[2])
        assert asked is not None
        assert (asked.redirect_uri, asked.scopes) == (REDIRECT, {READ})


async def test_nobody_is_sent_anywhere_without_a_pushed_request(world: World) -> None:
    async with flowing(world) as flow:
        url, good = f"{flow.issuer}/oauth/authorize", await flow.pushed()
        evil = request_parameters(redirect_uri="https://evil.test/", client_id=CLIENT)
        queries: list[list[tuple[str, str]]] = [
            [],
            list(evil.items()),
            list(request_parameters(client_id=CLIENT).items()),
            [("client_id", CLIENT)],
            [("request_uri", good)],
            [("client_id", "office"), ("request_uri", good)],
            [("client_id", "nobody"), ("request_uri", good)],
            [("client_id", CLIENT), ("request_uri", good + "x")],
            [("client_id", CLIENT), ("request_uri", "https://evil.test/request.jwt")],
            [("client_id", CLIENT), ("request_uri", good), ("request_uri", good)],
            [("client_id", CLIENT), ("client_id", CLIENT), ("request_uri", good)],
            [("client_id", CLIENT), ("request_uri", "urn:ietf:params:oauth:request_uri:\ud7ff")],
            [("client_id", CLIENT), ("request_uri", "urn:ietf:params:oauth:request_uri:%00")],
        ]
        for query in queries:
            response = await flow.http.get(f"{url}?{urlencode(query)}")
            assert response.status_code == 400, query
            assert "location" not in response.headers
            assert "evil" not in response.text
            assert "default-src 'none'" in response.headers["content-security-policy"]
        assert (await flow.http.post(url, data=evil)).status_code == 405
        await flow.opened(good)


@on_both_stores
async def test_request_uri_can_be_reloaded_until_a_person_decides_and_never_after(
    world: World,
) -> None:
    async with flowing(world) as flow:
        request_uri = await flow.pushed()
        loaded_ahead, seen = await flow.opened(request_uri), await flow.opened(request_uri)
        assert flow.approved(seen) is not None
        assert (await flow.browse(request_uri)).status_code == 400
        assert flow.desk.asked(loaded_ahead) is None
        assert flow.desk.asked(seen) is None
        approval = Approval(PERSON, frozenset({READ}), (), world.clock.now(), ACR)
        for spent in (loaded_ahead, seen, "x" * 43):
            assert flow.desk.approve(spent, approval) is None
            assert flow.desk.deny(spent) is None


@on_both_stores
async def test_request_uri_ends_by_itself(world: World) -> None:
    async with flowing(world) as flow:
        request_uri = await flow.pushed()
        world.clock.seconds += REQUEST_SECONDS
        assert (await flow.browse(request_uri)).status_code == 400


async def test_client_whose_operator_was_suspended_is_told_so_by_redirect(world: World) -> None:
    async with flowing(world) as flow:
        request_uri = await flow.pushed()
        interaction_id = await flow.opened(request_uri)
        world.change("operator", OPERATOR, state=OperatorState.OPERATOR_STATE_SUSPENDED)
        response = await flow.browse(request_uri)
        assert response.status_code == 303
        url = flow.approved(interaction_id)
        assert url is not None
        for sent_to in (response.headers["location"], url):
            assert sent_to.startswith(REDIRECT)
            answer = answer_in(sent_to)
            assert answer["error"] == "unauthorized_client"
            assert (answer["iss"], answer["state"]) == (flow.issuer, "st-1")


@pytest.mark.parametrize(
    "gone",
    [
        {"redirect_uris": frozenset({"https://client.test/other"})},
        {"removed_at": 1},
    ],
)
async def test_nobody_is_sent_to_a_place_the_client_no_longer_names(
    world: World, gone: dict[str, Any]
) -> None:
    async with flowing(world) as flow:
        request_uri = await flow.pushed()
        interaction_id = await flow.opened(request_uri)
        world.change("client", CLIENT, **gone)
        assert (await flow.browse(request_uri)).status_code == 400
        assert flow.desk.asked(interaction_id) is None
        approval = Approval(PERSON, frozenset({READ}), (), world.clock.now(), ACR)
        assert flow.desk.approve(interaction_id, approval) is None
        assert flow.desk.deny(interaction_id) is None


async def test_scope_withdrawn_meanwhile_is_not_asked_of_the_person(world: World) -> None:
    async with flowing(world) as flow:
        interaction_id = await flow.opened(await flow.pushed(scope=f"{READ} {BROWSE}"))
        world.change("scope_grant", "grant-attest", withdrawn_at=world.clock.now())
        asked = flow.desk.asked(interaction_id)
    assert asked is not None
    assert asked.scopes == {READ}


@on_both_stores
async def test_approval_of_more_than_was_asked_is_a_fault_and_uses_nothing_up(
    world: World,
) -> None:
    license_operator(world)
    detail = {"type": TYPE, "items": ["penalty"]}
    held = AuthorizationDetail.model_validate(detail)
    wider = AuthorizationDetail.model_validate({"type": TYPE})
    async with flowing(world) as flow:
        interaction_id = await flow.opened(
            await flow.pushed(authorization_details=json.dumps([detail]))
        )
        for changed in (
            {"scopes": frozenset({READ, BROWSE})},
            {"scopes": frozenset[str]()},
            {"details": ()},
            {"details": (held, wider)},
        ):
            with pytest.raises(ValueError, match="asked"):
                flow.approved(interaction_id, **changed)
        assert flow.approved(interaction_id, details=(held,)) is not None


@pytest.mark.parametrize("mode", ["jwt", "query.jwt"])
async def test_response_is_signed_where_the_request_asks_for_it(world: World, mode: str) -> None:
    async with flowing(world) as flow:
        keys = KeySet.import_key_set((await flow.http.get(f"{flow.issuer}/oauth/jwks")).json())
        url = flow.approved(await flow.opened(await flow.pushed(response_mode=mode)))
        denied = flow.desk.deny(await flow.opened(await flow.pushed(response_mode=mode)))
        assert url is not None
        assert denied is not None
        told = [answer_in(where) for where in (url, denied)]
        assert all(answer.keys() == {"kept", "response"} for answer in told)
        success, failure = (jwt.decode(answer["response"], keys).claims for answer in told)
        code = success.pop("code")
        frame = {"iss": flow.issuer, "aud": CLIENT, "state": "st-1"}
        assert success.items() >= frame.items()
        assert world.clock.now() < success["exp"] <= world.clock.now() + 600
        assert failure["error"] == "access_denied"
        assert (await flow.redeem(code)).status_code == 200


@on_both_stores
async def test_response_that_cannot_be_signed_leaves_the_request_waiting(world: World) -> None:
    async with flowing(world) as flow:
        interaction_id = await flow.opened(await flow.pushed(response_mode="jwt"))
        (kid,) = world.snapshot().signing_keys
        key = world.folder / "keys" / f"{kid}.pem"
        aside = key.rename(key.with_suffix(".aside"))
        with pytest.raises(Refused):
            flow.approved(interaction_id)
        aside.rename(key)
        assert flow.approved(interaction_id) is not None
