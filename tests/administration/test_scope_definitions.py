"""Managed scopes: names of their own, within bounds, and grants of them within both."""

import pytest

from creditgate.refusal import Refused
from creditgate.scopes import known_scopes
from creditgate.v1 import operator_service_pb2 as pb
from creditgate.v1 import scope_service_pb2 as scopes_pb
from creditgate.v1.vocabulary_pb2 import Purpose
from operators.decision import Allow, Ask
from operators.openings import open_names
from operators.rules import decide
from tests.administration.office import (
    BIDDING,
    CHECK,
    NAME,
    acting,
    change,
    define,
    definition,
    furnish_office,
    grants,
    retire,
)
from tests.administration.world import (
    CHIEF,
    DAY,
    NOW,
    REASON,
    World,
    fields_of,
    grant,
    reason_of,
)

READ = "credit.records:read"


@pytest.fixture
async def office(world: World) -> World:
    """People, and operator alpha with a licence and a client."""
    furnish_office(world.log)
    await world.feed.refresh()
    await world.create()
    await world.issue()
    await world.register("alpha-one", "OPERATOR", "alpha")
    return world


def _taken(world: World, *token: str, purpose: Purpose.ValueType = BIDDING) -> set[str]:
    """Return the items alpha may take with a token of these scopes, now."""
    ask = Ask("alpha-one", READ, frozenset(token), frozenset(), purpose)
    decision = decide(world.authority, ask, world.clock.at)
    return set(decision.items) if isinstance(decision, Allow) else set()


async def _list(world: World, **fields: object) -> list[scopes_pb.ScopeDefinition]:
    request = scopes_pb.ListScopeDefinitionsRequest(**fields)  # type: ignore[arg-type]
    answer = await world.scopes.list_scope_definitions(request, acting("dan"))
    return list(answer.definitions)


async def test_a_granted_managed_scope_gives_its_scopes_within_its_bounds(office: World) -> None:
    await define(office, definition(items=["penalty", "permit"]))
    await grants(office, grant(scope=NAME, items=["permit"]))
    assert _taken(office, NAME) == _taken(office, READ) == {"permit"}
    assert _taken(office, NAME, purpose=CHECK) == set()
    assert _taken(office, "usage:read") == set()
    assert open_names(office.authority, "alpha", NOW) == {NAME, READ}


async def test_a_token_of_a_managed_scope_uses_only_grants_of_it(office: World) -> None:
    await define(office, definition(items=["penalty"]))
    await grants(office, grant(scope=NAME), grant(items=["tax"]))
    assert _taken(office, NAME) == {"penalty"}
    assert _taken(office, READ) == _taken(office, READ, NAME) == {"penalty", "tax"}
    # Only the grant of the method's own scope has no purpose to narrow it.
    assert _taken(office, READ, purpose=CHECK) == {"tax"}


async def test_narrowing_a_definition_narrows_every_grant_of_it_at_once(office: World) -> None:
    made = await define(office, definition(items=["penalty", "permit"]))
    await grants(office, grant(scope=NAME))
    assert _taken(office, NAME) == {"penalty", "permit"}
    made = (await change(office, definition(items=["penalty"], etag=made.etag))).definition
    assert _taken(office, NAME) == {"penalty"}
    await change(office, definition(items=["penalty"], purposes=[CHECK], etag=made.etag))
    assert _taken(office, NAME) == set()
    assert _taken(office, NAME, purpose=CHECK) == {"penalty"}


async def test_a_retired_scope_gives_nothing_and_does_not_come_back(office: World) -> None:
    made = await define(office, definition())
    await grants(office, grant(scope=NAME))
    assert _taken(office, NAME) == {"penalty"}
    await retire(office)
    assert _taken(office, NAME, READ) == set()
    assert open_names(office.authority, "alpha", NOW) == set()
    with pytest.raises(Refused) as refusal:
        await grants(office, grant(scope=NAME))
    assert fields_of(refusal) == ["grants[0].scope"]
    for call in (retire(office), change(office, definition(etag=made.etag))):
        with pytest.raises(Refused, match="new name") as refusal:
            await call
        assert reason_of(refusal) == "STATE_CONFLICT"
    with pytest.raises(Refused) as refusal:
        await define(office, definition())
    assert reason_of(refusal) == "RESOURCE_EXISTS"


async def test_grant_of_a_managed_scope_lies_within_its_definition(office: World) -> None:
    await define(office, definition(items=["penalty", "permit"], regions=["11"]))
    await grants(office, grant(scope=NAME, items=["penalty"], regions=["1101"]))
    for beyond, fields in (
        (grant(scope=NAME, items=["tax"]), ["grants[0].items"]),
        (grant(scope=NAME, purposes=[BIDDING, CHECK]), ["grants[0].purposes"]),
        (grant(scope=NAME, regions=["3201"]), ["grants[0].regions"]),
        (grant(scope="credit.unheard:read"), ["grants[0].scope"]),
        (grant(CHIEF, NAME), ["grants[0].scope"]),
    ):
        with pytest.raises(Refused) as refusal:
            await grants(office, beyond)
        assert fields_of(refusal) == fields


async def test_definition_and_licence_must_have_something_in_common(office: World) -> None:
    await define(office, definition(purposes=[Purpose.PURPOSE_RESEARCH]))
    await define(office, definition("credit.elsewhere:read", regions=["44"]))
    for name in (NAME, "credit.elsewhere:read"):
        with pytest.raises(Refused, match="nothing in common") as refusal:
            await grants(office, grant(scope=name))
        assert fields_of(refusal) == ["grants[0].scope"]


async def test_time_boxed_scope_is_granted_with_both_ends_and_not_for_longer(
    office: World,
) -> None:
    made = await define(office, definition(days=30))
    for asked, fields in (
        (grant(scope=NAME), ["grants[0].validity"]),
        (grant(scope=NAME, start=None, until=NOW + DAY), ["grants[0].validity"]),
        (grant(scope=NAME, until=NOW + 30 * DAY + 1), ["grants[0].validity.end_time"]),
    ):
        with pytest.raises(Refused) as refusal:
            await grants(office, asked)
        assert fields_of(refusal) == fields
    await grants(office, grant(scope=NAME, until=NOW + 30 * DAY))
    office.clock.at = NOW + 10 * DAY
    assert _taken(office, NAME) == {"penalty"}
    # A shorter limit ends sooner what was granted under the longer one.
    await change(office, definition(days=10, etag=made.etag))
    assert _taken(office, NAME) == set()


async def test_name_and_scopes_are_such_that_one_role_may_hold_them(office: World) -> None:
    for bad, fields in (
        (definition("operators:read"), ["definition.name"]),
        (definition("Records"), ["definition.name"]),
        (definition(scopes=["credit.unheard:read"]), ["definition.scopes"]),
        (definition(scopes=[READ, "operators:read"]), ["definition.scopes"]),
        (definition(scopes=[]), ["definition.scopes"]),
        (definition(scopes=["operators:read"], purposes=[]), ["definition.items"]),
        (definition(items=["penalty", "unheard"]), ["definition.items[1]"]),
        (definition(days=-1), ["definition.longest_validity_days"]),
    ):
        with pytest.raises(Refused) as refusal:
            await define(office, bad)
        assert fields_of(refusal) == fields
    unnamed = definition()
    unnamed.title_zh = " "
    unnamed.ClearField("title_en")
    with pytest.raises(Refused) as refusal:
        await define(office, unnamed)
    assert fields_of(refusal) == ["definition.title_zh", "definition.title_en"]
    await define(
        office, definition("office.desk:use", scopes=["usage:read"], items=[], purposes=[])
    )
    await grants(office, grant(CHIEF, "office.desk:use"), grant(scope="office.desk:use"))


async def test_change_needs_the_etag_of_the_present_version(office: World) -> None:
    made = await define(office, definition(items=["penalty", "permit"]))
    await change(office, definition(items=["penalty"], etag=made.etag))
    with pytest.raises(Refused) as refusal:
        await change(office, definition(items=["permit"], etag=made.etag))
    assert reason_of(refusal) == "ETAG_MISMATCH"
    with pytest.raises(Refused) as refusal:
        await change(office, definition())
    assert fields_of(refusal) == ["definition.etag"]
    with pytest.raises(Refused) as refusal:
        await change(office, definition("credit.unheard:read", etag="1"))
    assert reason_of(refusal) == "RESOURCE_NOT_FOUND"


async def test_scopes_of_methods_are_listed_with_the_defined_ones(office: World) -> None:
    made = await define(office, definition())
    assert await _list(office, defined_only=True) == [made]
    listed = await _list(office, page_size=200)
    assert [found.name for found in listed] == sorted({*known_scopes(), NAME})
    assert {found.name for found in listed if found.built_in} == known_scopes()
    titles = {found.name: (found.title_zh, found.title_en) for found in listed}
    assert titles["scopes:grant"] == ("授予权限范围", "grant scopes")
    request = scopes_pb.ListScopeDefinitionsRequest(page_size=7)
    paged: list[str] = []
    while True:
        page = await office.scopes.list_scope_definitions(request, acting("dan"))
        paged += [found.name for found in page.definitions]
        request.page_token = page.next_page_token
        if not request.page_token:
            break
    assert paged == [found.name for found in listed]


async def test_one_scope_is_found_by_its_name(office: World) -> None:
    made = await define(office, definition())
    for name in (NAME, READ):
        request = scopes_pb.GetScopeDefinitionRequest(name=name)
        found = (await office.scopes.get_scope_definition(request, acting("dan"))).definition
        assert found.name == name
        assert found.built_in == (name == READ)
        assert name == READ or found == made
    with pytest.raises(Refused) as refusal:
        await office.scopes.get_scope_definition(
            scopes_pb.GetScopeDefinitionRequest(name="credit.unheard:read"), acting("dan")
        )
    assert reason_of(refusal) == "RESOURCE_NOT_FOUND"


async def test_every_change_of_a_scope_is_kept_with_who_and_why(office: World) -> None:
    made = await define(office, definition(items=["penalty", "permit"]))
    await change(office, definition(etag=made.etag), acting("bob"))
    await retire(office)
    request = pb.ListAuthorityChangesRequest(kind="scope_definition", id=NAME)
    kept = (await office.service.list_authority_changes(request, acting("dan"))).changes
    assert [(each.version, each.changed_by, each.reason) for each in kept] == [
        (1, "administrator:ann", REASON),
        (2, "administrator:bob", REASON),
        (3, "administrator:ann", REASON),
    ]
