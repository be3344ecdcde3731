"""The history shows every change whole: who, when, why, page by page (G7)."""

import json

import pytest

from creditgate.refusal import Refused
from creditgate.v1 import operator_service_pb2 as pb
from tests.administration.world import (
    CALLER,
    CHIEF,
    DAY,
    NOW,
    REASON,
    World,
    fields_of,
    keep_large_licences,
)


async def _pages(world: World, **asked: object) -> list[list[pb.AuthorityChange]]:
    pages: list[list[pb.AuthorityChange]] = []
    token = ""
    while True:
        request = pb.ListAuthorityChangesRequest(
            page_token=token,
            **asked,  # pyright: ignore[reportArgumentType]
        )
        page = await world.service.list_authority_changes(request, CALLER)
        pages.append(list(page.changes))
        assert len(pages) <= world.log.head()
        token = page.next_page_token
        if not token:
            return pages


async def test_change_tells_who_when_why_and_the_whole_thing(stored_world: World) -> None:
    await stored_world.create()
    stored_world.clock.at = NOW + DAY
    suspended = await stored_world.suspend()
    ((_, change),) = await _pages(stored_world, kind="operator", id="alpha")
    document = json.loads(change.document)
    assert document == stored_world.authority.operators["alpha"].as_document()
    assert document["display_name"] == suspended.display_name
    change.ClearField("document")
    assert change == pb.AuthorityChange(
        sequence=stored_world.log.head(),
        kind="operator",
        id="alpha",
        version=2,
        changed_by=CHIEF,
        change_time=suspended.update_time,
        reason=REASON,
    )


async def test_pages_show_every_change_once_in_order(stored_world: World) -> None:
    await stored_world.create()
    everything = [change.sequence for change in stored_world.history()]
    assert everything == list(range(1, len(everything) + 1))
    for page_size in (1, 3, len(everything), 200):
        pages = await _pages(stored_world, page_size=page_size)
        assert [change.sequence for page in pages for change in page] == everything
        assert all(len(page) == page_size for page in pages[:-1])
        assert pages[-1]


async def test_kind_and_id_narrow_the_history(stored_world: World) -> None:
    await stored_world.create()
    await stored_world.create("beta")
    await stored_world.register("alpha", "OPERATOR", "alpha")
    await stored_world.suspend()
    for kind, id_ in (("operator", ""), ("", "alpha"), ("operator", "alpha"), ("", "none")):
        (page,) = await _pages(stored_world, kind=kind, id=id_, page_size=200)
        assert [change.sequence for change in page] == [
            change.sequence
            for change in stored_world.history()
            if kind in {"", change.kind} and id_ in {"", change.id}
        ]


async def test_page_of_large_things_stays_small_and_none_is_lost(stored_world: World) -> None:
    keep_large_licences(stored_world.log, 70)
    pages = await _pages(stored_world, kind="licence", page_size=200)
    assert len(pages) > 1
    assert all(sum(change.ByteSize() for change in page) <= 2 << 20 for page in pages)
    assert [change.id for page in pages for change in page] == [
        f"large-{number}" for number in range(70)
    ]


async def test_page_token_serves_only_the_history_it_was_made_for(stored_world: World) -> None:
    request = pb.ListAuthorityChangesRequest(kind="scope_grant", page_size=1)
    request.page_token = (
        await stored_world.service.list_authority_changes(request, CALLER)
    ).next_page_token
    request.page_size = 2
    await stored_world.service.list_authority_changes(request, CALLER)
    request.kind = ""
    with pytest.raises(Refused) as refusal:
        await stored_world.service.list_authority_changes(request, CALLER)
    assert fields_of(refusal) == ["page_token"]


async def test_fault_of_a_history_request_is_named_by_its_field(stored_world: World) -> None:
    for asked, field in (
        (pb.ListAuthorityChangesRequest(kind="secret"), "kind"),
        (pb.ListAuthorityChangesRequest(id="a\0"), "id"),
        (pb.ListAuthorityChangesRequest(id="a" * 129), "id"),
        (pb.ListAuthorityChangesRequest(page_size=201), "page_size"),
        (pb.ListAuthorityChangesRequest(page_token="x"), "page_token"),
    ):
        with pytest.raises(Refused) as refusal:
            await stored_world.service.list_authority_changes(asked, CALLER)
        assert fields_of(refusal) == [field]
