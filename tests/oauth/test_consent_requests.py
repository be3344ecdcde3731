"""Consents asked for in pushed requests: judged at once, and asked for in no other way."""

import json
from typing import Any

import httpx
import pytest

from consent.model import (
    GRADE,
    MOST_BACKDATED_SECONDS,
    MOST_DATA_LIFE_SECONDS,
    MOST_TIMES_PER_DAY,
    MOST_VALIDITY_SECONDS,
    TIMES_PER_DAY,
    ConsentTerms,
)
from creditgate.refusal import Violation
from creditgate.v1.consent_service_pb2 import DataLifeEnd
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.oauth.consent_request import terms_of
from gateway.oauth.interactions import Approval
from operators.asked_details import read_details
from operators.authorization_details import TYPE, AuthorizationDetail
from operators.model import TOKEN_EXCHANGE
from tests.meter.world import company
from tests.oauth.assertions import good_form
from tests.oauth.code_flow import ACR, PERSON, WITH_CODE, CodeFlow, answer_in, error_of, flowing
from tests.oauth.licensed import LICENSED_SECONDS, license_operator
from tests.oauth.tokens import exchange, introspect, token_of
from tests.oauth.world import BROWSE, OPERATOR, READ, World
from tests.parties import claims_in

CONSENT = "consents/0066a0c1d2-aa"
TERMS: dict[str, Any] = {"access_mode": "WITHIN_PERIOD", "data_life": 60, "data_life_end": "DELETE"}


@pytest.fixture
def world(world: World) -> World:
    """An installation whose operator holds a licence, and where consents are kept."""
    license_operator(world)
    world.terms_faults = lambda operator_id, terms: []
    return world


def asking(world: World, terms: dict[str, Any] | None = None, **changed: Any) -> str:
    """Return details that ask for a consent, for a pushed request."""
    detail = {
        "type": TYPE,
        "items": ["penalty", "rating"],
        "subjects": [company(1)],
        "purposes": ["SUPPLIER_CHECK"],
        "regions": ["3101"],
        "period": {"until": world.clock.now() + 600},
        "consent_terms": {**TERMS, **(terms or {})},
        **changed,
    }
    return json.dumps([detail])


def approve(flow: CodeFlow, interaction_id: str, consent: str | None) -> str | None:
    """Approve what was asked, naming a consent or none."""
    asked = flow.desk.asked(interaction_id)
    assert asked is not None
    details = tuple(detail.model_copy(update={"consent": consent}) for detail in asked.details)
    now = flow.world.clock.now()
    return flow.desk.approve(
        interaction_id, Approval(PERSON, frozenset({READ}), details, now - 5, ACR)
    )


async def refused_at(flow: CodeFlow, details: str) -> tuple[str, str]:
    """Return (pointer, mend) of what is wrong with a pushed request."""
    response = await flow.push(authorization_details=details)
    assert error_of(response) == (400, "invalid_authorization_details"), response.text
    pointer, _, mend = response.json()["error_description"].removeprefix("At ").partition(": ")
    return pointer, mend


async def test_the_token_rests_on_the_consent_that_was_asked_for(world: World) -> None:
    async with flowing(world) as flow:
        details = asking(world)
        interaction_id = await flow.opened(await flow.pushed(authorization_details=details))
        asked = flow.desk.asked(interaction_id)
        assert asked is not None
        assert asked.consent_terms is not None
        assert asked.consent_terms.as_json() == TERMS
        url = approve(flow, interaction_id, CONSENT)
        assert url is not None
        answer = await flow.redeem(answer_in(url)["code"])
        assert answer.status_code == 200, answer.text
        (asked_for,) = json.loads(details)
        del asked_for["consent_terms"]
        carried = [{**asked_for, "consent": CONSENT}]
        assert claims_in(answer.json()["access_token"])["authorization_details"] == carried
        refreshed = await flow.refresh(answer.json()["refresh_token"])
        assert claims_in(refreshed.json()["access_token"])["authorization_details"] == carried


async def test_nobody_approves_such_a_request_without_naming_a_consent(world: World) -> None:
    async with flowing(world) as flow:
        interaction_id = await flow.opened(await flow.pushed(authorization_details=asking(world)))
        with pytest.raises(ValueError, match="approval"):
            approve(flow, interaction_id, None)


async def test_every_look_at_one_request_is_at_the_same_request(world: World) -> None:
    async with flowing(world) as flow:
        first = await flow.pushed(authorization_details=asking(world))
        pushed_at = world.clock.now()
        looks = [flow.desk.asked(await flow.opened(first))]
        world.clock.seconds += 5
        looks.append(flow.desk.asked(await flow.opened(first)))
        other = flow.desk.asked(await flow.opened(await flow.pushed()))
    assert None not in looks
    assert other is not None
    assert len({(asked.request_id, asked.pushed_at) for asked in looks if asked}) == 1
    assert looks[0] is not None
    assert looks[0].pushed_at == pushed_at
    assert looks[0].request_id != other.request_id
    assert len(looks[0].request_id) == 43


async def test_no_machine_asks_for_a_consent(world: World) -> None:
    """Not for itself, nor on refresh, nor in exchange: nobody could answer it."""
    async with flowing(world, grant_types=WITH_CODE | {TOKEN_EXCHANGE}) as flow:
        details = asking(world)
        form = good_form(
            world.identity, flow.issuer, world.clock.now(), authorization_details=details
        )
        machine = await world.post(flow.issuer, form, world.identity.certificate)
        token = await token_of(world, flow.issuer, world.identity, scope=READ)
        exchanged = await exchange(
            world, flow.issuer, world.identity, token, authorization_details=details
        )
        held = await flow.tokens()
        refreshed = await flow.refresh(held["refresh_token"], authorization_details=details)
        redeemed = await flow.redeem(await flow.code(), authorization_details=details)
        for response in (machine, exchanged, refreshed, redeemed):
            assert error_of(response) == (400, "invalid_authorization_details"), response.text
            assert response.json()["error_description"].startswith("At /0/consent_terms: ")


async def test_where_no_consents_are_kept_none_is_asked_for(world: World) -> None:
    world.terms_faults = None
    async with flowing(world) as flow:
        pointer, _ = await refused_at(flow, asking(world))
    assert pointer == "/0/consent_terms"


async def test_a_consent_needs_licence_and_scope(world: World) -> None:
    async with flowing(world) as flow:
        assert (await refused_at(flow, asking(world, items=["penalty", "other"])))[
            0
        ] == "/0/items/1"
        assert (await refused_at(flow, asking(world, purposes=["RESEARCH"])))[0] == "/0/purposes/0"
        response = await flow.push(authorization_details=asking(world), scope=BROWSE)
        assert error_of(response) == (400, "invalid_authorization_details")
        world.clock.seconds += LICENSED_SECONDS
        assert (await refused_at(flow, asking(world)))[0] == "/0/type"


async def test_terms_no_consent_may_have_are_pointed_at(world: World) -> None:
    place = "/0/consent_terms"
    daily = "TIMES_PER_DAY"
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"data_life": MOST_DATA_LIFE_SECONDS + 1}, f"{place}/data_life"),
        (
            {"access_mode": daily, "times_per_day": MOST_TIMES_PER_DAY + 1},
            f"{place}/times_per_day",
        ),
        ({"access_mode": daily}, place),
        ({"times_per_day": 2}, place),
        ({"fields": {"other": ["finding"]}}, f"{place}/fields"),
        ({"fields": {"penalty": ["No Field"]}}, f"{place}/fields"),
        ({"fields": {"penalty": ["finding"]}, "answer_form": "GRADE"}, f"{place}/fields"),
    ]
    longest = {"until": world.clock.now() + MOST_VALIDITY_SECONDS + 1}
    async with flowing(world) as flow:
        for terms, pointer in wrong:
            assert (await refused_at(flow, asking(world, terms)))[0] == pointer, terms
        assert (await refused_at(flow, asking(world, period=longest)))[0] == place


async def test_what_the_desk_of_consents_would_refuse_is_pointed_at(world: World) -> None:
    """Items of the terms are in order, those of the request as they were sent."""
    pointers = {
        "terms.items[1].item": "/0/items/0",
        "terms.items[0].fields": "/0/consent_terms/fields",
        "terms.purposes": "/0/purposes",
        "terms.regions": "/0/regions",
        "terms.validity.start_time": "/0/period/from",
        "terms.validity.end_time": "/0/period/until",
        "terms": "/0/consent_terms",
    }
    faulty, judged = list(pointers), list[tuple[str, ConsentTerms]]()

    def faults(operator_id: str, terms: ConsentTerms) -> list[Violation]:
        judged.append((operator_id, terms))
        return [Violation(faulty[0], "name another"), Violation("terms.regions", "and this")]

    world.terms_faults = faults
    details = asking(
        world,
        {"fields": {"penalty": ["finding"]}},
        items=["rating", "penalty"],
        period={"from": world.clock.now() - 1, "until": world.clock.now() + 600},
    )
    async with flowing(world) as flow:
        while faulty:
            pointer = pointers[faulty[0]]
            assert await refused_at(flow, details) == (pointer, "name another."), faulty[0]
            del faulty[0]
    for operator_id, terms in judged:
        assert operator_id == OPERATOR
        assert [item.item for item in terms.items] == ["penalty", "rating"]


async def test_a_period_that_begins_long_before_the_request_is_pointed_at(world: World) -> None:
    now = world.clock.now()

    def begun(before: int) -> str:
        return asking(world, period={"from": now - before, "until": now + 600})

    async with flowing(world) as flow:
        for before in (MOST_BACKDATED_SECONDS + 1, 700 * 86_400):
            pointer, mend = await refused_at(flow, begun(before))
            assert pointer == "/0/period/from"
            assert "begin now or later" in mend
        await flow.pushed(authorization_details=begun(MOST_BACKDATED_SECONDS))


async def test_a_grant_for_a_consent_ends_with_it(world: World) -> None:
    """However long grants and tokens last otherwise."""
    async with flowing(world) as flow:
        until = world.clock.now() + 100
        interaction_id = await flow.opened(
            await flow.pushed(authorization_details=asking(world, period={"until": until}))
        )
        url = approve(flow, interaction_id, CONSENT)
        assert url is not None
        answer = (await flow.redeem(answer_in(url)["code"])).json()
        assert claims_in(answer["access_token"])["exp"] == until
        told = await introspect(world, flow.issuer, world.identity, answer["refresh_token"])
        assert told["exp"] == until
        world.clock.seconds = until
        assert error_of(await flow.refresh(answer["refresh_token"])) == (400, "invalid_grant")


async def test_a_code_for_a_consent_that_is_over_gives_nothing(world: World) -> None:
    async with flowing(world) as flow:
        until = world.clock.now() + 30
        interaction_id = await flow.opened(
            await flow.pushed(authorization_details=asking(world, period={"until": until}))
        )
        url = approve(flow, interaction_id, CONSENT)
        assert url is not None
        world.clock.seconds = until
        response: httpx.Response = await flow.redeem(answer_in(url)["code"])
        assert error_of(response) == (400, "invalid_grant")


def test_terms_mean_what_the_detail_says() -> None:
    detail = {
        "type": TYPE,
        "items": ["rating", "penalty"],
        "subjects": [company(1)],
        "purposes": ["BIDDING", "SUPPLIER_CHECK"],
        "regions": ["*"],
        "period": {"from": 50, "until": 900},
    }
    asked = {
        "access_mode": "TIMES_PER_DAY",
        "times_per_day": 4,
        "data_life": 60,
        "data_life_end": "ANONYMISE",
        "answer_form": "GRADE",
    }
    read = read_details(json.dumps([{**detail, "consent_terms": asked}]))
    assert read.consent_terms is not None
    terms = terms_of(read.details[0], read.consent_terms, 20)
    assert terms == ConsentTerms.model_validate(
        {
            "items": [{"item": "penalty"}, {"item": "rating"}],
            "purposes": [Purpose.PURPOSE_BIDDING, Purpose.PURPOSE_SUPPLIER_CHECK],
            "answer_form": GRADE,
            "access_mode": TIMES_PER_DAY,
            "times_per_day": 4,
            "valid_from": 50,
            "valid_until": 900,
            "data_life_seconds": 60,
            "data_life_end": DataLifeEnd.DATA_LIFE_END_ANONYMISE,
            "regions": ["*"],
        }
    )
    assert terms_of(read.details[0], read.consent_terms, 70).valid_from == 70
    assert isinstance(read.details[0], AuthorizationDetail)
