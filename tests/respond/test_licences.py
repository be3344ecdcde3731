"""A firm with several licences is given all that any of them opens, each record under one."""

from random import Random
from typing import Any

import pytest

from creditgate.refusal import Refused, reason_name
from creditgate.v1.limit_service_pb2 import LimitPer
from creditgate.v1.usage_log_pb2 import UsageLeaf
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.authorise.shown import shown_to
from gateway.respond.left import told_left, want_left
from gateway.respond.use import SCOPE
from operators.log import Draft
from operators.model import LICENCE, Licence
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.limiting import drafted, limit
from tests.meter.world import DAY, NOW
from tests.receipts import verified
from tests.respond.test_details import holding
from tests.respond.world import (
    CONSENT,
    OPEN,
    OTHER,
    PURPOSE,
    RESTRICTED,
    UNPRICED,
    World,
    caller,
    company,
    names,
    operator,
    record,
)

pytestmark = rarely_on_postgresql

TWO = caller("two")
FIRST, SECOND, THIRD = "licence-two", "licence-two-b", "licence-two-c"
ITEMS = (OPEN, OTHER)
EVERYWHERE = frozenset({"*"})


def another(number: str, *items: str, quota: int = 1_000_000, **changed: Any) -> Draft:
    """Return a further licence of the firm "two"."""
    fields = {
        "number": number,
        "operator_id": "two",
        "valid_from": 0,
        "valid_until": NOW * 2,
        "items": frozenset(items),
        "purposes": frozenset({PURPOSE}),
        "regions": frozenset({"11"}),
        "daily_record_quota": quota,
    }
    return Draft(LICENCE, number, 0, Licence.model_validate(fields | changed).as_document())


async def two(world: World, quota: int = 3, *others: Draft) -> None:
    """Let a firm hold a small licence for one item, and ``others``: a large one for another."""
    first = operator("two", items=frozenset({OTHER}), quota=quota)
    await world.put(*first, *(others or (another(SECOND, OPEN),)))


def published(world: World) -> None:
    """Publish five records of one item and one of the other about a company."""
    world.publish(*(record(f"p-{number}") for number in range(5)), record("o-1", 1, OTHER))


def borne(leaf: UsageLeaf) -> dict[str, int]:
    """Return how many records of a use each licence bears."""
    if not leaf.licences:
        return {leaf.licence: sum(line.entries for line in leaf.lines)}
    return {each.licence: sum(each.entries) for each in leaf.licences}


def leaf_of(answer: Any) -> UsageLeaf:
    """Return the use that an answer's receipt states."""
    return verified(answer.receipt.usage)


async def refused(call: Any) -> Refused:
    """Return why a call is refused."""
    with pytest.raises(Refused) as refusal:
        await call
    return refusal.value


async def test_without_named_items_all_that_any_licence_opens_is_given(world: World) -> None:
    await two(world)
    published(world)
    answer = await world.ask(1, asking=TWO)
    assert sorted(names(answer)) == ["o-1", *(f"p-{number}" for number in range(5))]
    assert borne(leaf_of(answer)) == {FIRST: 1, SECOND: 5}
    (chunk,) = await world.batch([1, 2], asking=TWO)
    assert sorted(names(chunk)) == sorted(names(answer))
    named = await world.ask(1, asking=TWO, items=[OPEN, OTHER])
    assert sorted(names(named)) == sorted(names(answer))
    alone = await world.ask(1, asking=TWO, items=[OPEN])
    assert borne(leaf_of(alone)) == {SECOND: 5}
    assert not leaf_of(alone).licences


async def test_a_record_by_its_name_is_given_under_whichever_licence_opens_it(
    world: World,
) -> None:
    await two(world)
    published(world)
    for name, licence in (("p-1", SECOND), ("o-1", FIRST)):
        answer = await world.get(name, asking=TWO)
        assert names(answer) == [name]
        assert leaf_of(answer).licence == licence


async def test_subject_proofs_show_what_any_licence_opens(world: World) -> None:
    await two(world)
    authority = world.feed.current().authority
    shows = shown_to(authority, TWO, company(1), SCOPE, NOW)
    assert [shows(item, "110000") for item in (OPEN, OTHER, UNPRICED)] == [True, True, False]
    assert not shows(OPEN, "310000")


async def test_what_one_licence_bears_takes_nothing_of_another(world: World) -> None:
    await two(world, 2)
    published(world)
    for _ in range(3):
        await world.ask(1, asking=TWO, items=[OPEN])
    for _ in range(2):
        assert names(await world.ask(1, asking=TWO, items=[OTHER])) == ["o-1"]
    refusal = await refused(world.ask(1, asking=TWO, items=[OTHER]))
    assert refusal.retry_after == DAY - NOW % DAY
    assert names(await world.ask(1, asking=TWO, items=[OPEN]))


async def test_where_a_licence_is_used_up_the_answer_is_refused_whole_and_says_which(
    world: World,
) -> None:
    await two(world, 1)
    published(world)
    await world.ask(1, asking=TWO)
    told = [await refused(world.ask(number, asking=TWO)) for number in (1, 2)]
    assert {each.message for each in told} == {
        "The day's quota of all licences that open some of what was asked for is used up; name"
        " items or regions that other licences open, or ask again when it starts anew at 00:00 UTC."
    }
    assert [each.metadata for each in told] == [{"licences": FIRST}] * 2
    assert len(names(await world.ask(1, asking=TWO, items=[OPEN]))) == 5
    # A record by its name is of one item, and that one's licence has plenty.
    assert names(await world.get("p-1", asking=TWO)) == ["p-1"]
    gone = [await refused(world.get(name, asking=TWO)) for name in ("o-1", "never-published")]
    assert len({(each.reason, each.message, each.retry_after) for each in gone}) == 1


async def test_a_second_licence_over_the_same_item_goes_on_where_the_first_ends(
    world: World,
) -> None:
    await two(world, 2, another(SECOND, OTHER, quota=3))
    world.publish(*(record(f"o-{number}", 1, OTHER) for number in range(4)))
    answer = await world.ask(1, asking=TWO)
    assert len(names(answer)) == 4
    assert borne(leaf_of(answer)) == {SECOND: 3, FIRST: 1}
    # Of the first one is left, so that the answer goes beyond it.
    assert borne(leaf_of(await world.ask(1, asking=TWO))) == {FIRST: 4, SECOND: 0}
    (await refused(world.ask(1, asking=TWO)))
    await world.put(another(THIRD, OTHER, quota=3))
    answer = await world.ask(1, asking=TWO)
    assert borne(leaf_of(answer)) == {THIRD: 4, FIRST: 0, SECOND: 0}


@always_on_postgresql
@pytest.mark.parametrize(
    ("scarce", "plenty"),
    [
        ({"items": frozenset({OPEN, OTHER})}, {"items": frozenset({OPEN})}),
        ({"regions": EVERYWHERE}, {"regions": frozenset({"11"})}),
    ],
    ids=["items", "regions"],
)
async def test_the_quota_of_a_licence_that_opens_more_is_left_for_what_no_other_opens(
    world: World, scarce: dict[str, Any], plenty: dict[str, Any]
) -> None:
    await two(world, 3, another(SECOND, OPEN, quota=3, **scarce), another(THIRD, OPEN, **plenty))
    world.publish(*(record(f"p-{number}") for number in range(3)), record("o-1", 2, OTHER))
    for _ in range(3):
        answer = await world.ask(1, asking=TWO, items=[OPEN])
        assert borne(leaf_of(answer))[THIRD] == 3
    assert names(await world.ask(2, asking=TWO)) == ["o-1"]


async def test_where_a_licence_for_a_region_is_used_up_others_are_asked_by_naming_theirs(
    world: World,
) -> None:
    here, everywhere = another(SECOND, OPEN), another(THIRD, OPEN, quota=3, regions=EVERYWHERE)
    await two(world, 3, here, everywhere)
    world.publish(
        record("p-1"), *(record(f"s-{number}", 2, region="310000") for number in range(3))
    )
    await world.ask(2, asking=TWO, items=[OPEN])
    for number in (1, 2):
        told = await refused(world.ask(number, asking=TWO, items=[OPEN]))
        assert told.metadata == {"licences": THIRD}
        told = await refused(world.ask(number, asking=TWO, items=[OPEN], regions=["31"]))
        assert told.metadata in ({"licences": THIRD}, {})
    answer = await world.ask(1, asking=TWO, items=[OPEN], regions=["11"])
    assert (names(answer), leaf_of(answer).licence) == (["p-1"], SECOND)
    assert names(await world.ask(2, asking=TWO, items=[OPEN], regions=["11"])) == []


async def test_a_licence_for_items_that_need_a_consent_is_not_needed_without_one(
    world: World,
) -> None:
    await two(world, 3, another(SECOND, OPEN))
    await world.put(another(THIRD, CONSENT, RESTRICTED, quota=0))
    world.publish(record("p-1"), record("c-1", 1, CONSENT))
    assert names(await world.ask(1, asking=TWO)) == ["p-1"]
    consent = world.give(1, operator_id="two")
    under = await refused(world.ask(1, asking=TWO, consent=consent.name, items=[OPEN, CONSENT]))
    assert under.metadata == {"licences": THIRD}


async def test_details_do_not_keep_licences_apart(world: World) -> None:
    await two(world)
    published(world)
    world.publish(record("p-9", 2), record("o-9", 2, OTHER))
    asking = holding(
        {"subjects": [company(1)], "items": [OPEN]}, {"subjects": [company(2)], "items": [OTHER]}
    )._replace(client_id=TWO.client_id, operator_id="two")
    (chunk,) = await world.batch([1, 2], asking=asking)
    assert sorted(names(chunk)) == ["o-9", *(f"p-{number}" for number in range(5))]
    assert borne(leaf_of(chunk)) == {FIRST: 1, SECOND: 5}
    answer = await world.get("o-9", asking=asking)
    assert leaf_of(answer).licence == FIRST


@always_on_postgresql
async def test_a_retry_is_answered_alike_and_takes_nothing_of_any_licence(world: World) -> None:
    await two(world, 1)
    published(world)
    first = await world.ask(1, asking=TWO, request_id="same")
    again = await world.ask(1, asking=TWO, request_id="same")
    assert again.receipt.replayed
    assert names(again) == names(first)
    assert again.receipt.usage.leaf == first.receipt.usage.leaf


async def test_what_is_left_of_the_scarcest_licence_is_told(world: World) -> None:
    await two(world)
    published(world)
    want_left()
    await world.ask(1, asking=TWO)
    ((_, policy), (_, left)) = told_left()
    assert policy == '"daily-records";q=3;w=86400'
    assert left.startswith('"daily-records";r=2;')


@pytest.mark.parametrize("seed", range(3))
async def test_any_licences_together_give_their_union_and_none_that_is_used_up_more(
    world: World, seed: int
) -> None:
    draw = Random(seed)
    places = ("110000", "310000")
    everything = {
        f"r-{number}": (number % 3 + 1, draw.choice(ITEMS), draw.choice(places))
        for number in range(12)
    }
    world.publish(
        *(record(name, who, item, region=at) for name, (who, item, at) in everything.items())
    )
    quotas = {f"licence-two-{number}": draw.randrange(2, 9) for number in range(3)}
    held = {
        number: Licence(
            number=number,
            operator_id="two",
            valid_from=0,
            valid_until=NOW * 2,
            items=frozenset(draw.sample(ITEMS, draw.randrange(1, 3))),
            purposes=frozenset(draw.sample([PURPOSE, Purpose.PURPOSE_RESEARCH], 2)),
            regions=frozenset(draw.sample(["11", "31", "1101"], draw.randrange(1, 3))),
            daily_record_quota=quota,
        )
        for number, quota in quotas.items()
    }
    firm = operator("two", items=frozenset({UNPRICED}), valid_until=NOW)
    await world.put(
        *firm, *(Draft(LICENCE, name, 0, each.as_document()) for name, each in held.items())
    )
    used = dict.fromkeys(quotas, 0)
    for _ in range(12):
        number, named = draw.randrange(1, 4), draw.choice([(), (), *((item,) for item in ITEMS)])
        union = {
            name
            for name, (who, item, at) in everything.items()
            if who == number
            and (not named or item in named)
            and any(item in one.items and _within(one, at) for one in held.values())
        }
        try:
            answer = await world.ask(number, asking=TWO, items=named)
        except Refused as refusal:
            told = reason_of(refusal)
            assert told in {"QUOTA_EXHAUSTED", "ITEM_NOT_ALLOWED"}
            if told == "ITEM_NOT_ALLOWED":
                assert not any(set(named) <= one.items for one in held.values())
            continue
        assert set(names(answer)) == union
        leaf = leaf_of(answer)
        for licence, records in borne(leaf).items():
            assert used[licence] < quotas[licence] or not records
            used[licence] += records
        assert sum(borne(leaf).values()) == len(union)
    assert sum(used.values()) > 3


def _within(licence: Licence, region: str) -> bool:
    return any(region.startswith(code) for code in licence.regions)


def reason_of(refusal: Refused) -> str:
    """Return a refusal's reason, for short."""
    return reason_name(refusal.reason)


async def test_a_limit_by_subject_tells_nothing_of_records_that_may_not_be_had(
    world: World,
) -> None:
    world.publish(
        record("p-1"),
        record("s-1", 1, RESTRICTED),
        record("c-1", 1, CONSENT),
        record("u-1", 1, UNPRICED),
        record("e-1", 1, region="440000"),
        record("s-2", 2, RESTRICTED),
    )
    await world.put(drafted(limit(per=LimitPer.LIMIT_PER_SUBJECT, count=1, burst=1)))
    await world.ask(1)
    assert (await refused(world.ask(1))).metadata == {"limit": "slow"}
    told = {
        (each.reason, each.message, each.retry_after)
        for name in ("s-1", "c-1", "u-1", "e-1", "s-2", "never-published")
        for each in (await refused(world.get(name)), await refused(world.get(name)))
    }
    assert len(told) == 1
    # Of one that may be had, a refusal would tell the same; it counts, and whose it is is refused on.
    await world.get("p-1")
    assert (await refused(world.ask(1))).metadata == {"limit": "slow"}
    assert world.charged() == 2
