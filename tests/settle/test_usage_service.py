"""UsageService: whose usage is shown, page by page, and what a month costs."""

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.refusal import Refused
from creditgate.v1 import usage_service_pb2 as usage_pb
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.vocabulary_pb2 import Interval, Purpose
from gateway.authenticate.caller import Caller
from tests.settle.ledger import entry
from tests.settle.world import ADMINISTRATOR, ALPHA, APRIL, MARCH, NOW, World, caller, rule_request


async def _list(
    world: World, asking: Caller = ALPHA, **asked: object
) -> usage_pb.ListUsageResponse:
    request = usage_pb.ListUsageRequest(**asked)  # pyright: ignore[reportArgumentType]
    return await world.usage_service.list_usage(request, asking)


async def _statement(
    world: World, month: str = "2026-03", asking: Caller = ALPHA, operator_id: str = ""
) -> usage_pb.Statement:
    request = usage_pb.GetStatementRequest(operator_id=operator_id, month=month)
    return (await world.usage_service.get_statement(request, asking)).statement


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
        name="operators/alpha/usage/1-1",
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
        for call in (
            _list(world, operator_id=other),
            _statement(world, operator_id=other),
        ):
            with pytest.raises(Refused) as refusal:
                await call
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


async def test_statement_counts_the_month_and_shares_it_by_the_rules_in_force(
    world: World,
) -> None:
    await world.settlement_service.create_sharing_rule(
        rule_request("old", MARCH - 9), ADMINISTRATOR
    )
    await world.settlement_service.create_sharing_rule(
        rule_request("new", NOW + 9, 0, 0, 10_000), ADMINISTRATOR
    )
    world.usage.serve("alpha", MARCH - 1, entry(unit_price=1_000_000))
    world.usage.serve("alpha", MARCH, entry(), entry())
    world.usage.serve("alpha", NOW + 9, entry())
    world.usage.serve("beta", NOW, entry())
    world.usage.serve("alpha", APRIL, entry(unit_price=1_000_000))
    statement = await _statement(world)
    assert (statement.operator_id, statement.month) == ("alpha", "2026-03")
    assert (statement.total_entries, statement.total_micro_yuan) == (3, 21)
    assert statement.usage_sequence == 3
    (line,) = statement.lines
    assert (line.item, line.source, line.region) == ("penalty", "mem", "11")
    assert (line.entries, line.unit_price_micro_yuan, line.fee_micro_yuan) == (3, 7, 21)
    # 14 under the old rule: 8.4, 4.2 and 1.4, the odd one to the source (tie); then 7 whole.
    shares = {share.beneficiary: share.amount_micro_yuan for share in line.shares}
    assert shares == {"sources/mem": 9, "regions/11": 4, "platform": 8}
    assert {s.beneficiary: s.amount_micro_yuan for s in statement.shares} == shares
    assert await _statement(world, "2026-03", ADMINISTRATOR, "alpha") == statement


async def test_statement_of_a_month_that_is_over_does_not_change_any_more(world: World) -> None:
    await world.settlement_service.create_sharing_rule(rule_request("r", MARCH), ADMINISTRATOR)
    world.usage.serve("alpha", MARCH, entry())
    world.clock.at = APRIL
    before = await _statement(world)
    world.usage.serve("alpha", APRIL, entry())
    await world.settlement_service.create_sharing_rule(
        rule_request("next", APRIL, 0, 0, 10_000), ADMINISTRATOR
    )
    assert await _statement(world) == before


async def test_month_without_use_costs_nothing_and_needs_no_rule(world: World) -> None:
    statement = await _statement(world)
    assert (statement.total_entries, statement.total_micro_yuan) == (0, 0)
    assert not statement.lines


async def test_mend_that_a_refused_statement_names_mends_it(world: World) -> None:
    world.usage.serve("alpha", NOW, entry())
    with pytest.raises(Refused, match="2026-03-01T00:00:00Z") as refusal:
        await _statement(world)
    assert refusal.value.reason == RefusalReason.REFUSAL_REASON_STATE_CONFLICT
    await world.settlement_service.create_sharing_rule(rule_request("r", MARCH), ADMINISTRATOR)
    assert (await _statement(world)).total_micro_yuan == 7


@pytest.mark.parametrize(
    "month", ["", "2026-3", "2026-13", "2026-00", "0000-01", "9999-01", "２０２６-03", "2026-03\n"]
)
async def test_month_that_is_none_is_refused(world: World, month: str) -> None:
    with pytest.raises(Refused) as refusal:
        await _statement(world, month)
    assert _fields(refusal) == ["month"]


async def test_month_that_has_not_begun_is_refused(world: World) -> None:
    with pytest.raises(Refused) as refusal:
        await _statement(world, "2026-04")
    assert _fields(refusal) == ["month"]
    world.clock.at = APRIL
    assert (await _statement(world, "2026-04")).month == "2026-04"
