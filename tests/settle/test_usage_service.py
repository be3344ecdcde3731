"""UsageService: whose usage is shown, page by page."""

from collections import Counter

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.refusal import Refused
from creditgate.v1 import usage_service_pb2 as usage_pb
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.vocabulary_pb2 import Interval, Purpose
from gateway.authenticate.caller import Caller
from gateway.settle.paging import page_token
from tests.settle.ledger import entry
from tests.settle.world import ADMINISTRATOR, ALPHA, MARCH, MOST_BYTES, NOW, World, caller


async def _list(
    world: World, asking: Caller = ALPHA, **asked: object
) -> usage_pb.ListUsageResponse:
    request = usage_pb.ListUsageRequest(**asked)  # pyright: ignore[reportArgumentType]
    return await world.usage_service.list_usage(request, asking)


def _records(response: usage_pb.ListUsageResponse) -> list[str]:
    return [found.record.removeprefix("records/") for found in response.entries]


def _fields(refusal: pytest.ExceptionInfo[Refused]) -> list[str]:
    assert refusal.value.reason == RefusalReason.REFUSAL_REASON_INVALID_REQUEST
    return [violation.field for violation in refusal.value.violations]


def _interval(start: int | None, end: int | None) -> Interval:
    return Interval(
        start_time=None if start is None else Timestamp(seconds=start),
        end_time=None if end is None else Timestamp(seconds=end),
    )


async def test_entry_tells_what_was_served_to_whom_why_and_for_how_much(world: World) -> None:
    world.usage.serve(
        "alpha", NOW, entry("a"), entry("b", unit_price=9), request_id="q", consent="consents/c1"
    )
    _, second = (await _list(world)).entries
    assert second == usage_pb.UsageEntry(
        name="operators/alpha/usage/0-1",
        client_id="alpha-client",
        request_id="q",
        record="records/b",
        revision=1,
        item="penalty",
        source="mem",
        region="11",
        purpose=Purpose.PURPOSE_BIDDING,
        licence="L-1",
        consent="consents/c1",
        serve_time=Timestamp(seconds=NOW),
        fee_micro_yuan=9,
        decision_id="d-1",
    )


async def test_pages_together_show_every_entry_once_and_never_split_an_answer(
    world: World,
) -> None:
    for number in range(7):
        world.usage.serve("alpha", NOW, *(entry(f"{number}-{i}") for i in range(number % 4)))
        world.usage.serve("beta", NOW, entry("foreign"))
    expected = [f"{number}-{i}" for number in range(7) for i in range(number % 4)]
    for page_size in range(1, 12):
        seen: list[str] = []
        token = ""
        while True:
            page = await _list(world, page_size=page_size, page_token=token)
            last_answer = page.entries[-1].name.rsplit("-", 1)[0]
            others = [e for e in page.entries if e.name.rsplit("-", 1)[0] != last_answer]
            assert len(others) < page_size
            seen += _records(page)
            token = page.next_page_token
            if not token:
                break
            assert len(page.entries) >= page_size
        assert seen == expected


@pytest.mark.parametrize("page_size", [1, 7, 1_000])
async def test_an_answer_that_no_message_holds_is_split_and_nothing_else_is(
    world: World, page_size: int
) -> None:
    sizes = [3, 120, 12, 2, 15, 90]
    for number, size in enumerate(sizes):
        world.usage.serve("alpha", NOW, *(entry(f"{number}-{i}") for i in range(size)))
    expected = [f"{number}-{i}" for number, size in enumerate(sizes) for i in range(size)]
    seen: list[str] = []
    token = ""
    while token or not seen:
        page = await _list(world, page_size=page_size, page_token=token)
        assert page.entries
        assert page.ByteSize() <= MOST_BYTES
        held = Counter(int(each.name.rsplit("/", 1)[1].split("-")[0]) for each in page.entries)
        split = {number for number, count in held.items() if count < sizes[number]}
        assert all(sizes[number] > 40 for number in split)
        seen += _records(page)
        token = page.next_page_token
        # Use that comes while somebody pages is listed behind all that was there.
        if len(sizes) < 10:
            expected.append(f"late-{len(expected)}")
            sizes.append(1)
            world.usage.serve("alpha", NOW, entry(expected[-1]))
    assert seen == expected


async def test_token_of_whole_answers_goes_on_behind_them(world: World) -> None:
    for record in "abc":
        world.usage.serve("alpha", NOW, entry(record))
    filters = "alpha", None, None, ""
    assert _records(await _list(world, page_token=page_token(2, filters))) == ["c"]
    for wrong in ("0", "2.0", "2.x", "-1", "2.1.1"):
        with pytest.raises(Refused) as refusal:
            await _list(world, page_token=page_token(wrong, filters))
        assert _fields(refusal) == ["page_token"]


async def test_period_and_request_narrow_the_listing(world: World) -> None:
    for at in (MARCH - 1, MARCH, NOW):
        world.usage.serve("alpha", at, entry(str(at)), request_id=f"r{at}")
    assert _records(await _list(world, period=_interval(MARCH, NOW))) == [str(MARCH)]
    assert _records(await _list(world, period=_interval(None, MARCH))) == [str(MARCH - 1)]
    assert _records(await _list(world, request_id=f"r{NOW}")) == [str(NOW)]


async def test_operator_never_sees_usage_of_another(world: World) -> None:
    world.usage.serve("beta", NOW, entry("foreign"))
    assert not (await _list(world)).entries
    assert not (await _list(world, operator_id="alpha")).entries
    messages: set[str] = set()
    for other in ("beta", "unknown", "No such id"):
        with pytest.raises(Refused) as refusal:
            await _list(world, operator_id=other)
        assert refusal.value.reason == RefusalReason.REFUSAL_REASON_SCOPE_NOT_GRANTED
        messages.add(refusal.value.message)
    assert len(messages) == 1


async def test_administrator_sees_any_operator_by_name(world: World) -> None:
    world.usage.serve("beta", NOW, entry("seen"))
    assert _records(await _list(world, ADMINISTRATOR, operator_id="beta")) == ["seen"]
    with pytest.raises(Refused) as unnamed:
        await _list(world, ADMINISTRATOR)
    assert _fields(unnamed) == ["operator_id"]
    with pytest.raises(Refused) as unknown:
        await _list(world, ADMINISTRATOR, operator_id="gamma")
    assert unknown.value.reason == RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND


async def test_other_roles_see_no_usage(world: World) -> None:
    with pytest.raises(Refused) as refusal:
        await _list(world, caller("PUBLISHER"), operator_id="alpha")
    assert refusal.value.reason == RefusalReason.REFUSAL_REASON_SCOPE_NOT_GRANTED


@pytest.mark.parametrize(
    ("asked", "fields"),
    [
        ({"page_size": -1}, ["page_size"]),
        ({"page_size": 1_001}, ["page_size"]),
        ({"page_token": "x"}, ["page_token"]),
        ({"page_token": "授权"}, ["page_token"]),
        ({"request_id": "a b"}, ["request_id"]),
        ({"request_id": "a\x00"}, ["request_id"]),
        ({"period": _interval(NOW, NOW)}, ["period"]),
        ({"period": _interval(-1, NOW)}, ["period.start_time"]),
        ({"period": Interval(end_time=Timestamp(seconds=9, nanos=5))}, ["period.end_time"]),
    ],
)
async def test_fault_of_a_listing_is_named_by_its_field(
    world: World, asked: dict[str, object], fields: list[str]
) -> None:
    with pytest.raises(Refused) as refusal:
        await _list(world, ALPHA, **asked)
    assert _fields(refusal) == fields


async def test_page_token_serves_only_the_listing_it_was_made_for(world: World) -> None:
    for _ in range(3):
        world.usage.serve("alpha", NOW, entry())
    token = (await _list(world, page_size=1)).next_page_token
    assert (await _list(world, page_size=2, page_token=token)).entries
    with pytest.raises(Refused) as refusal:
        await _list(world, page_token=token, request_id="r")
    assert _fields(refusal) == ["page_token"]
