"""CatalogueService: pages by code, versions by etag, who changed what and why."""

from time import monotonic

import pytest

from creditgate.rating.prices import PRICE_PLAN, PricePlan
from creditgate.refusal import Refused
from creditgate.v1 import catalogue_service_pb2 as pb
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.vocabulary_pb2 import Openness
from gateway.authority.feed import AuthorityFeed, PollBell
from gateway.catalogue.message import item_message
from operators.log import Draft
from tests.catalogue.drafts import NOW, national
from tests.catalogue.world import OFFICE, World
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.revocations import NothingRevoked

pytestmark = rarely_on_postgresql


def message(code: str = "penalty.administrative") -> pb.CatalogueItem:
    """Return a shipped item, not stored yet."""
    return item_message(national()[code])


async def create(world: World, item: pb.CatalogueItem, reason: str = "new") -> pb.CatalogueItem:
    """Create an item."""
    request = pb.CreateCatalogueItemRequest(item=item, reason=reason)
    return (await world.items.create_catalogue_item(request, OFFICE)).item


async def update(world: World, item: pb.CatalogueItem, reason: str = "law") -> pb.CatalogueItem:
    """Update an item."""
    request = pb.UpdateCatalogueItemRequest(item=item, reason=reason)
    return (await world.items.update_catalogue_item(request, OFFICE)).item


async def get(world: World, code: str) -> pb.CatalogueItem:
    """Get an item."""
    request = pb.GetCatalogueItemRequest(code=code)
    return (await world.service.get_catalogue_item(request, OFFICE)).item


def reason_of(refusal: pytest.ExceptionInfo[Refused]) -> str:
    """Return the short name of a refusal's reason."""
    return RefusalReason.Name(refusal.value.reason).removeprefix("REFUSAL_REASON_")


async def test_created_item_is_there_at_once_with_its_etag_and_time(world: World) -> None:
    created = await create(world, message())
    expected = message()
    expected.etag = "1"
    expected.update_time.seconds = NOW
    assert created == expected
    assert await get(world, created.code) == expected
    (change,) = world.log.history(kind="catalogue_item", id=created.code, after=0, limit=9)
    assert (change.changed_by, change.changed_at, change.reason) == ("office", NOW, "new")


@always_on_postgresql
async def test_update_makes_the_next_version(world: World) -> None:
    item = await create(world, message())
    world.clock.at += 60
    item.name_en = "Penalty"
    updated = await update(world, item)
    assert (updated.etag, updated.name_en, updated.update_time.seconds) == (
        "2",
        "Penalty",
        NOW + 60,
    )
    assert await get(world, item.code) == updated


async def test_update_of_an_older_version_is_refused(world: World) -> None:
    item = await create(world, message())
    await update(world, item)
    with pytest.raises(Refused) as refusal:
        await update(world, item)
    assert reason_of(refusal) == "ETAG_MISMATCH"
    item.etag = "x"
    with pytest.raises(Refused) as refusal:
        await update(world, item)
    assert reason_of(refusal) == "ETAG_MISMATCH"


@always_on_postgresql
async def test_update_sees_what_another_process_wrote(world: World) -> None:
    feed = AuthorityFeed(
        world.log,
        revocations=NothingRevoked(),
        clock=world.clock,
        poll_seconds=60,
        lease_seconds=600,
        monotonic=monotonic,
        bell=PollBell(),
    )
    await feed.refresh()
    other = World(world.log, feed)
    item = await update(world, await create(other, message()))
    assert (await update(other, item)).etag == "3"
    with pytest.raises(Refused) as refusal:
        await update(world, item)
    assert reason_of(refusal) == "ETAG_MISMATCH"
    await feed.stop()


async def test_item_created_twice_is_refused(world: World) -> None:
    await create(world, message())
    with pytest.raises(Refused) as refusal:
        await create(world, message())
    assert reason_of(refusal) == "RESOURCE_EXISTS"


async def test_a_request_that_is_only_validated_does_nothing(world: World) -> None:
    request = pb.CreateCatalogueItemRequest(item=message(), reason="new", validate_only=True)
    for _ in range(2):
        answer = await world.items.create_catalogue_item(request, OFFICE)
        assert answer == pb.CreateCatalogueItemResponse()
    item = await create(world, message())
    item.name_en = "Changed"
    changed = pb.UpdateCatalogueItemRequest(item=item, reason="new", validate_only=True)
    await world.items.update_catalogue_item(changed, OFFICE)
    assert (await get(world, item.code)).name_en == message().name_en


async def test_a_request_that_is_only_validated_is_refused_as_it_would_be(world: World) -> None:
    item = await create(world, message())
    again = pb.CreateCatalogueItemRequest(item=item, reason="new", validate_only=True)
    with pytest.raises(Refused) as refusal:
        await world.items.create_catalogue_item(again, OFFICE)
    assert reason_of(refusal) == "RESOURCE_EXISTS"
    item.etag = "7"
    old = pb.UpdateCatalogueItemRequest(item=item, reason="new", validate_only=True)
    with pytest.raises(Refused) as refusal:
        await world.items.update_catalogue_item(old, OFFICE)
    assert reason_of(refusal) == "ETAG_MISMATCH"


async def test_unknown_item_is_not_found(world: World) -> None:
    with pytest.raises(Refused) as refusal:
        await get(world, "none")
    assert reason_of(refusal) == "RESOURCE_NOT_FOUND"
    item = message()
    item.etag = "1"
    with pytest.raises(Refused) as refusal:
        await update(world, item)
    assert reason_of(refusal) == "RESOURCE_NOT_FOUND"


@pytest.mark.parametrize("reason", ["", " ", "x" * 501, "a\0b"])
async def test_change_without_a_usable_reason_is_refused(world: World, reason: str) -> None:
    with pytest.raises(Refused) as refusal:
        await create(world, message(), reason)
    assert [violation.field for violation in refusal.value.violations] == ["reason"]
    item = message()
    with pytest.raises(Refused) as refusal:
        await update(world, item, reason)
    fields = [violation.field for violation in refusal.value.violations]
    assert fields == ["reason", "item.etag"]


async def test_every_fault_of_an_item_is_named_by_its_field(world: World) -> None:
    item = message()
    item.code = "No"
    item.openness = pb.CatalogueItem().openness
    item.sources.append("")
    item.period_rules[1].max_months = 1
    item.content_fields[0].max_length = 0
    with pytest.raises(Refused) as refusal:
        await create(world, item)
    assert [violation.field for violation in refusal.value.violations] == [
        "item.code",
        "item.sources[13]",
        "item.openness",
        "item.period_rules[1]",
        "item.content_fields[0]",
    ]
    assert not await listed(world, 0)


async def test_what_subjects_consent_to_is_not_taken_without_titles(world: World) -> None:
    bare = national()["payment.tax"]
    (first, *rest) = bare.content_fields
    bare = bare.model_copy(
        update={
            "content_fields": (first.model_copy(update={"title_zh": "", "title_en": ""}), *rest)
        }
    )
    with pytest.raises(Refused) as refusal:
        await create(world, item_message(bare))
    (violation,) = refusal.value.violations
    assert violation.field == "item.content_fields[0]"
    assert "add title_zh and title_en" in violation.description
    item = item_message(bare)
    item.openness = Openness.OPENNESS_RESTRICTED
    kept = await create(world, item)
    kept.openness = Openness.OPENNESS_CONSENT
    with pytest.raises(Refused):
        await update(world, kept)
    kept.content_fields[0].title_zh, kept.content_fields[0].title_en = "年度", "year"
    assert (await update(world, kept)).content_fields[0].title_zh == "年度"


async def listed(world: World, page_size: int) -> list[list[str]]:
    """Return the codes of every page."""
    pages: list[list[str]] = []
    token = ""
    while True:
        request = pb.ListCatalogueItemsRequest(page_size=page_size, page_token=token)
        answer = await world.service.list_catalogue_items(request, OFFICE)
        if answer.items:
            pages.append([item.code for item in answer.items])
        token = answer.next_page_token
        if not token:
            return pages


@always_on_postgresql
async def test_items_are_listed_by_code_in_pages(world: World) -> None:
    codes = ["b", "a", "c.d", "c", "e"]
    for code in codes:
        item = message()
        item.code = code
        await create(world, item)
    assert await listed(world, 2) == [["a", "b"], ["c", "c.d"], ["e"]]
    assert await listed(world, 5) == [["a", "b", "c", "c.d", "e"]]
    assert await listed(world, 0) == [["a", "b", "c", "c.d", "e"]]


async def test_page_of_large_items_stays_a_message_of_bounded_size(world: World) -> None:
    for code in "abcd":
        item = message()
        item.code = code
        item.sources.extend(f"{number:04d}{'源' * 190}" for number in range(980))
        await create(world, item)
    pages = await listed(world, 200)
    assert pages == [["a", "b", "c"], ["d"]]


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (pb.ListCatalogueItemsRequest(page_size=201), ["page_size"]),
        (pb.ListCatalogueItemsRequest(page_size=-1, page_token="!"), ["page_size", "page_token"]),
        (pb.ListCatalogueItemsRequest(page_token="AAAA"), ["page_token"]),
        (pb.ListCatalogueItemsRequest(page_token="é"), ["page_token"]),
    ],
)
async def test_malformed_listing_is_refused(
    world: World, request_: pb.ListCatalogueItemsRequest, fields: list[str]
) -> None:
    with pytest.raises(Refused) as refusal:
        await world.service.list_catalogue_items(request_, OFFICE)
    assert [violation.field for violation in refusal.value.violations] == fields


def _put(world: World, plan_id: str, effective_from: int, **prices: int) -> None:
    plan = PricePlan(plan_id=plan_id, effective_from=effective_from, prices=prices)
    world.log.append(
        [Draft(PRICE_PLAN, plan_id, 0, plan.model_dump(mode="json"))],
        changed_by="office",
        changed_at=NOW,
        reason="test",
    )


async def test_item_has_a_price_class_that_every_plan_from_now_on_prices(world: World) -> None:
    item = message()
    _put(world, "now", NOW, **{item.price_class: 100, "other": 100, "old": 100})
    _put(world, "later", NOW + 60, **{item.price_class: 100, "other": 100})
    created = await create(world, item)
    for wrong, plan in (("advrse", "now"), ("old", "later")):
        created.price_class = wrong
        with pytest.raises(Refused) as refusal:
            await update(world, created)
        (violation,) = refusal.value.violations
        assert violation.field == "item.price_class"
        assert f"the price plan {plan} " in violation.description
        another = message()
        another.code, another.price_class = "another", wrong
        with pytest.raises(Refused):
            await create(world, another)
    created.price_class = "other"
    assert (await update(world, created)).price_class == "other"


async def test_item_that_lost_its_price_is_changed_otherwise_all_the_same(world: World) -> None:
    item = await create(world, message())
    _put(world, "now", NOW, other=100)
    item.name_en = "Penalty"
    assert (await update(world, item)).name_en == "Penalty"
