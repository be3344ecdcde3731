"""RFC 9396 at the authorisation server: details granted, refused with a pointer, narrowed."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws

from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.oauth.client import RegisteredClient, registered_client
from gateway.oauth.keys import SigningKeyBook
from gateway.oauth.rfc9396 import DetailsDesk, InvalidAuthorizationDetailsError, as_json
from operators.asked_details import read_details
from operators.authorization_details import AuthorizationDetail, narrows
from tests.examples import examples
from tests.meter.world import company
from tests.oauth.assertions import good_form
from tests.oauth.licensed import license_operator
from tests.oauth.world import AUDIENCE, BROWSE, READ, SetClock, Snapshot, World
from tests.operators import things
from tests.operators.test_authorization_details import details as any_detail

TYPE = "public_credit_data"
BARE = {"type": TYPE}
GOOD = {
    "type": TYPE,
    "locations": [AUDIENCE],
    "items": ["penalty"],
    "subjects": [company(1)],
    "purposes": ["SUPPLIER_CHECK"],
    "regions": ["3101"],
    "consent": "consents/c-1",
}


@pytest.fixture
def world(world: World) -> World:
    """An installation whose operator holds a licence for items penalty and rating."""
    license_operator(world)
    return world


async def ask(world: World, issuer: str, details: object, **more: str) -> httpx.Response:
    """Ask for a token with details."""
    text = details if isinstance(details, str) else json.dumps(details)
    form = good_form(world.identity, issuer, world.clock.now(), authorization_details=text, **more)
    return await world.post(issuer, form, world.identity.certificate)


def claims_of(response: httpx.Response) -> dict[str, Any]:
    """Return the claims of the token of a response."""
    token = jws.extract_compact(response.json()["access_token"].encode())
    return json.loads(token.payload)


async def test_granted_details_stand_in_the_token_and_in_the_response(world: World) -> None:
    period = {"until": world.clock.now() + 60}
    asked = [{**GOOD, "period": period}, BARE]
    async with world.serving() as issuer:
        response = await ask(world, issuer, asked, scope=READ)
    assert response.status_code == 200, response.text
    assert response.headers["cache-control"] == "no-store"
    assert response.json()["authorization_details"] == asked
    assert claims_of(response)["authorization_details"] == asked
    assert response.json()["scope"] == READ


async def test_a_token_without_details_says_nothing_of_them(world: World) -> None:
    async with world.serving() as issuer:
        form = good_form(world.identity, issuer, world.clock.now())
        response = await world.post(issuer, form, world.identity.certificate)
    assert "authorization_details" not in response.json()
    assert "authorization_details" not in claims_of(response)


@pytest.mark.parametrize(
    ("asked", "pointer"),
    [
        ([BARE, {**GOOD, "items": ["penalty", "secret"]}], "/1/items/1"),
        ([{**GOOD, "regions": ["3101", "32"]}], "/0/regions/1"),
        ([{**GOOD, "purposes": ["SUPPLIER_CHECK", "RESEARCH"]}], "/0/purposes/1"),
        ([{**GOOD, "locations": ["https://elsewhere.test", AUDIENCE]}], "/0/locations/0"),
        ([{**GOOD, "subjects": [company(1), "910000000000000000"]}], "/0/subjects/1"),
        ([{**GOOD, "period": {"until": 1}}], "/0/period/until"),
        ([{**GOOD, "actions": ["read"]}], "/0/actions"),
        ([{**GOOD, "type": "payment_initiation"}], "/0/type"),
    ],
)
async def test_what_cannot_be_granted_is_pointed_at(
    world: World, asked: object, pointer: str
) -> None:
    async with world.serving() as issuer:
        response = await ask(world, issuer, asked)
    assert response.status_code == 400
    body = response.json()
    assert body["error"] == "invalid_authorization_details"
    assert body["error_description"].startswith(f"At {pointer}: ")
    # RFC 6749 section 5.2: %x20-21 / %x23-5B / %x5D-7E.
    assert all(" " <= sign <= "~" and sign not in '"\\' for sign in body["error_description"])
    assert "secret" not in body["error_description"]
    assert "elsewhere" not in body["error_description"]


@pytest.mark.parametrize("text", ["x", "[", "{}", "[]", "[" * 2_000, "[1e999]", '"\\ud800"'])
async def test_what_is_no_array_of_details_is_refused(world: World, text: str) -> None:
    async with world.serving() as issuer:
        response = await ask(world, issuer, text)
    assert (response.status_code, response.json()["error"]) == (
        400,
        "invalid_authorization_details",
    )


async def test_details_need_the_scope_they_narrow(world: World) -> None:
    async with world.serving() as issuer:
        response = await ask(world, issuer, [BARE], scope=BROWSE)
        unknown = await ask(world, issuer, [BARE], scope="operators:create")
    assert response.json()["error"] == "invalid_authorization_details"
    assert READ in response.json()["error_description"]
    assert unknown.json()["error"] == "invalid_scope"


async def test_a_licence_that_ended_grants_no_details(world: World) -> None:
    async with world.serving() as issuer:
        world.clock.seconds += 1_000
        response = await ask(world, issuer, [BARE])
    assert response.json()["error"] == "invalid_authorization_details"


async def test_the_largest_details_fit_a_token(world: World) -> None:
    subjects = [company(number) for number in range(256)]
    async with world.serving() as issuer:
        response = await ask(world, issuer, [{**BARE, "subjects": subjects}])
    assert response.status_code == 200
    assert len(response.json()["access_token"]) < 12_288


async def test_the_schema_is_published_where_the_metadata_lead(world: World) -> None:
    async with world.serving() as issuer, httpx.AsyncClient(verify=world.trust(None)) as http:
        metadata = await http.get(f"{issuer}/.well-known/oauth-authorization-server")
        response = await http.get(metadata.json()["authorization_details_schema_uri"])
    assert metadata.json()["authorization_details_types_supported"] == [TYPE]
    assert response.headers["content-type"] == "application/schema+json"
    document = response.json()
    assert document["$id"] == f"{issuer}/oauth/schemas/public_credit_data.json"
    assert (document["type"], document["minItems"], document["maxItems"]) == ("array", 1, 16)
    detail = document["$defs"]["AskedDetail"]
    assert document["items"] == {"$ref": "#/$defs/AskedDetail"}
    assert detail["properties"].keys() == {*GOOD, "period", "consent_terms"}


def narrowing_desk() -> tuple[DetailsDesk, RegisteredClient]:
    """Return a desk that grants whatever the details of the strategy may name."""
    purposes = {Purpose.PURPOSE_CREDIT_APPROVAL, Purpose.PURPOSE_BIDDING}
    wide = things.licence(items={"penalty", "rating"}, purposes=purposes)
    authority = things.authority_of(things.operator(), wide, things.client(), things.grant())
    snapshot = Snapshot(authority, SigningKeyBook.empty())
    client = registered_client(snapshot, "alpha-one", 5)
    assert client is not None
    return DetailsDesk(lambda: snapshot, SetClock(4), "urn:a"), client


@settings(max_examples=examples(200))
@given(
    st.lists(any_detail, max_size=3).map(tuple),
    st.lists(any_detail, min_size=1, max_size=2),
)
def test_narrowing_never_widens(
    held: tuple[AuthorizationDetail, ...], asked: list[AuthorizationDetail]
) -> None:
    desk, client = narrowing_desk()
    text = json.dumps(as_json(tuple(asked)))
    assert desk.narrowed(client, None, held, READ) == held
    try:
        narrowed = desk.narrowed(client, text, held, READ)
    except InvalidAuthorizationDetailsError:
        return
    assert narrowed == tuple(asked)
    assert not held or all(any(narrows(one, bound) for bound in held) for one in narrowed)


def test_every_detail_within_what_is_held_is_granted() -> None:
    desk, client = narrowing_desk()
    held = read_details(json.dumps([{**BARE, "items": ["penalty"]}, {**BARE, "regions": ["31"]}]))
    asked = [{**BARE, "regions": ["3101"]}, {**BARE, "items": ["penalty"], "period": {"from": 9}}]
    granted = desk.narrowed(client, json.dumps(asked), held.details, READ)
    assert as_json(granted) == asked


@pytest.mark.parametrize(
    ("held", "asked", "pointer"),
    [
        ([{"items": ["penalty"]}], [{"items": ["penalty"]}, {}], "/1"),
        ([{"items": ["penalty"]}], [{"items": ["penalty", "rating"]}], "/0/items"),
        ([{"items": ["penalty"]}, {"items": ["rating"]}], [{"items": ["penalty", "rating"]}], "/0"),
    ],
)
def test_a_wider_detail_is_pointed_at(
    held: list[dict[str, Any]], asked: list[dict[str, Any]], pointer: str
) -> None:
    desk, client = narrowing_desk()
    kept = read_details(json.dumps([{**BARE, **detail} for detail in held])).details
    text = json.dumps([{**BARE, **detail} for detail in asked])
    with pytest.raises(InvalidAuthorizationDetailsError) as refused:
        desk.narrowed(client, text, kept, READ)
    assert refused.value.description is not None
    assert refused.value.description.startswith(f"At {pointer}: ")
