"""What needs the subject's consent is served under a live one alone, cut to what it opens (G3)."""

from base64 import b64decode
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from consent.model import GRADE, ONCE, TIMES_PER_DAY, Consent, ConsentItem
from consent.states import Move
from creditgate.refusal import Refused, StatusCode
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.usage_log_pb2 import UsageReceipt
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.catalogue.model import CATALOGUE_ITEM
from operators.log import Draft
from tests import consenting
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.meter.world import DAY, NOW, company
from tests.respond.world import (
    CONSENT,
    GRADED,
    OPEN,
    RESTRICTED,
    World,
    caller,
    item,
    names,
    operator,
    reason,
    record,
)

pytestmark = rarely_on_postgresql

CONTENT = b'{"about":"x","score":7}'


async def refused(call: Awaitable[object]) -> str:
    """Return why a call is refused."""
    with pytest.raises(Refused) as told:
        await call
    return reason(told)


def relied(world: World) -> list[str]:
    """Return the consents that the ledger's answers name."""
    return [row.consent for row in world.answers()]


def used(world: World, consent: Consent) -> int:
    """Return how many answers count against a consent."""
    use = world.consents.uses([consent.consent_id]).get(consent.consent_id)
    return use.answered if use else 0


async def test_consent_opens_its_subject_to_its_operator_and_nothing_else(world: World) -> None:
    world.publish(record("a", 1, CONSENT), record("b", 1), record("c", 2, CONSENT), record("d", 2))
    consent = world.give(1).name
    assert names(await world.ask(1, consent=consent)) == ["a", "b"]
    assert names(await world.ask(1, consent=consent, items=[CONSENT])) == ["a"]
    assert names(await world.ask(1, consent=consent, items=[OPEN])) == ["b"]
    assert names(await world.get("a", consent=consent)) == ["a"]
    assert await refused(world.get("c", consent=consent)) == "RECORD_NOT_DISCLOSED"
    (chunk,) = await world.batch([1, 2], consent=consent)
    assert names(chunk) == ["a", "b", "d"]
    # Unless it is named, nothing is opened; and nothing of others by naming it.
    assert names(await world.ask(1)) == ["b"]
    assert await refused(world.ask(2, consent=consent)) == "CONSENT_EXCEEDED"
    assert await refused(world.ask(1, asking=caller("beta"), consent=consent)) == "CONSENT_UNKNOWN"


async def test_records_served_under_a_consent_are_the_stored_bytes(world: World) -> None:
    world.publish(record("a", item_code=CONSENT, content=CONTENT))
    (served,) = (await world.ask(1, consent=world.give().name)).records
    assert served == world.disclosure.store.record("a").record


async def test_content_is_cut_to_the_fields_the_subject_consented_to(world: World) -> None:
    world.publish(record("a", item_code=CONSENT, content=CONTENT), record("b", content=CONTENT))
    cut = ConsentItem(item=CONSENT, fields=frozenset({"score"}))
    consent = world.give(1, cut).name
    (chunk,) = await world.batch([1], consent=consent)
    for records in (
        (await world.ask(1, consent=consent)).records,
        chunk.records,
        [*(await world.get("a", consent=consent)).records, chunk.records[1]],
    ):
        assert [each.content for each in records] == [b'{"score":7}', CONTENT]
        assert [list(each.served_fields) for each in records] == [["score"], []]
    assert b"about" not in records[0].SerializeToString()


async def test_a_grade_comes_without_the_record(world: World) -> None:
    world.publish(record("a", item_code=GRADED, content=CONTENT), record("b", item_code=CONSENT))
    consent = world.give(1, GRADED, CONSENT, answer_form=GRADE).name
    answer = await world.ask(1, consent=consent)
    assert [each.content for each in answer.records] == [b'{"about":"x"}']
    assert list(answer.records[0].served_fields) == ["about"]
    assert await refused(world.ask(1, consent=consent, items=[CONSENT])) == "CONSENT_EXCEEDED"
    assert await refused(world.get("b", consent=consent)) == "RECORD_NOT_DISCLOSED"


async def test_a_consent_holds_in_its_regions(world: World) -> None:
    world.publish(
        record("a", item_code=CONSENT, region="110101"),
        record("b", item_code=CONSENT, region="110000"),
    )
    consent = world.give(regions=frozenset({"1101", "31"})).name
    assert names(await world.ask(1, consent=consent)) == ["a"]
    assert await refused(world.get("b", consent=consent)) == "RECORD_NOT_DISCLOSED"


async def test_a_consent_never_opens_what_licence_and_openness_do_not(world: World) -> None:
    world.publish(record("a", item_code=RESTRICTED), record("b", item_code=CONSENT))
    await world.put(*operator("narrow", items=frozenset({OPEN})))
    narrow = caller("narrow")
    consent = world.give(1, RESTRICTED, CONSENT, operator_id="narrow").name
    assert names(await world.ask(1, asking=narrow, consent=consent)) == []
    assert await refused(world.ask(1, asking=narrow, consent=consent, items=[CONSENT])) == (
        "ITEM_NOT_ALLOWED"
    )
    wide = world.give(1, RESTRICTED, CONSENT).name
    assert names(await world.ask(1, consent=wide)) == ["b"]
    assert await refused(world.ask(1, consent=wide, items=[RESTRICTED])) == "ITEM_RESTRICTED"


Call = Callable[[World, str], Awaitable[object]]
CALLS: dict[str, Call] = {
    "by subject": lambda world, consent: world.ask(1, consent=consent),
    "by item": lambda world, consent: world.ask(1, consent=consent, items=[CONSENT]),
    "a public item": lambda world, consent: world.ask(1, consent=consent, items=[OPEN]),
    "in a batch": lambda world, consent: world.batch([1, 2], consent=consent),
    "by record": lambda world, consent: world.get("a", consent=consent),
    "by no record": lambda world, consent: world.get("never-published", consent=consent),
}


@pytest.mark.parametrize(
    ("moves", "told"),
    [
        ((), "CONSENT_NOT_GRANTED"),
        (("refuse",), "CONSENT_NOT_GRANTED"),
        (("grant", "pause"), "CONSENT_PAUSED"),
        (("grant", "revoke"), "CONSENT_REVOKED"),
    ],
)
async def test_a_consent_that_does_not_hold_refuses_the_call_with_its_reason(
    world: World, moves: tuple[Move, ...], told: str
) -> None:
    """Also where no item is named, or none that needs it: whoever names it means it."""
    world.publish(record("a", item_code=CONSENT), record("b"))
    consent = consenting.asked(world.consents, company(1), consenting.terms([CONSENT]))
    for move in moves:
        consent = consenting.moved(world.consents, consent, move, NOW - 10)
    for asked, call in CALLS.items():
        assert (asked, await refused(call(world, consent.name))) == (asked, told)
    assert not world.answers()


async def test_forged_consents_are_unknown_ones(world: World) -> None:
    consent = world.give()
    first, last = consent.name[:-1], consent.name[-1]
    for name in ("consents/none", first + ("0" if last != "0" else "1"), consent.name.upper()[:9]):
        told = await refused(world.ask(1, consent=name))
        assert told in {"CONSENT_UNKNOWN", "INVALID_REQUEST"}


async def test_a_call_outside_the_terms_is_told_which_of_them(world: World) -> None:
    consent = world.give().name
    elsewhere = world.give(purposes=frozenset({Purpose.PURPOSE_CREDIT_APPROVAL})).name
    for call, field in (
        (world.ask(2, consent=consent), "subject"),
        (world.batch([2, 3], consent=consent), "subject"),
        (world.batch([1, 2], consent=consent, items=[CONSENT]), "subject"),
        (world.ask(1, consent=consent, items=[GRADED]), "items"),
        (world.ask(1, consent=elsewhere), "purpose"),
    ):
        with pytest.raises(Refused) as told:
            await call
        assert (reason(told), told.value.metadata) == ("CONSENT_EXCEEDED", {"field": field})
        assert company(1) not in told.value.message
    assert not world.answers()
    assert len(await world.batch([1, 2], consent=consent, items=[OPEN])) == 1
    assert len(await world.batch([1], consent=consent, items=[CONSENT])) == 1


async def test_an_answer_that_relied_on_a_consent_names_it_and_no_other_does(
    world: World,
) -> None:
    world.publish(record("a", 1, CONSENT), record("b", 1), record("c", 9))
    consent = world.give(1)
    await world.ask(1, consent=consent.name)
    await world.ask(1, consent=consent.name, items=[OPEN])
    await world.get("a", consent=consent.name)
    await world.get("b", consent=consent.name)
    await world.get("c", consent=consent.name)
    # In chunks of four: only the one with its subject relies on it.
    await world.batch([2, 3, 4, 5, 1, 6, 7, 8, 9], consent=consent.name)
    assert relied(world) == [consent.name, "", consent.name, "", "", "", consent.name, ""]
    assert used(world, consent) == 3


async def test_an_empty_answer_counts_and_a_refusal_does_not(world: World) -> None:
    consent = world.give(1, access_mode=TIMES_PER_DAY, times_per_day=2)
    assert await refused(world.get("never-published", consent=consent.name)) == (
        "RECORD_NOT_DISCLOSED"
    )
    assert await refused(world.ask(2, consent=consent.name)) == "CONSENT_EXCEEDED"
    assert used(world, consent) == 0
    for _ in range(2):
        assert names(await world.ask(1, consent=consent.name)) == []
    with pytest.raises(Refused) as told:
        await world.ask(1, consent=consent.name)
    assert (reason(told), told.value.retry_after) == ("CONSENT_EXHAUSTED", DAY - NOW % DAY)
    assert relied(world) == [consent.name] * 2


@always_on_postgresql
async def test_a_consent_for_one_use_answers_one_request_and_its_retries(world: World) -> None:
    world.publish(record("a", item_code=CONSENT))
    consent = world.give(access_mode=ONCE)
    first = await world.ask(1, consent=consent.name, request_id="same")
    assert await refused(world.ask(1, consent=consent.name)) == "CONSENT_EXHAUSTED"
    assert await refused(world.get("a", consent=consent.name)) == "CONSENT_EXHAUSTED"
    assert await refused(world.get("none", consent=consent.name)) == "CONSENT_EXHAUSTED"
    # Written down or not: an answer that was lost on its way is not lost for good.
    for write in (lambda: None, lambda: world.consents.settle(consent.consent_id, NOW)):
        write()
        again = await world.ask(1, consent=consent.name, request_id="same")
        assert (again.receipt.replayed, again.records) == (True, first.records)
        assert await refused(world.ask(1, consent=consent.name)) == "CONSENT_EXHAUSTED"
    assert used(world, consent) == 1


async def test_a_batch_is_finished_that_used_its_consent_up(world: World) -> None:
    """The subject in the second chunk of three; it is EXHAUSTED before the third is served."""
    world.publish(record("a", 5, CONSENT), record("b", 1), record("c", 9))
    consent = world.give(5, access_mode=ONCE)
    numbers = list(range(1, 10))
    served: list[str] = []
    async for chunk in world.batched(numbers, consent=consent.name, request_id="long"):
        served += names(chunk)
        if chunk.first_subject == 4:
            world.consents.settle(consent.consent_id, NOW)
    assert served == ["b", "a", "c"]
    again = await world.batch(numbers, consent=consent.name, request_id="long", resume_from=4)
    assert [names(chunk) for chunk in again] == [["a"], ["c"]]
    assert all(chunk.receipt.replayed for chunk in again)


async def test_what_need_not_be_kept_any_more_is_not_sent_again(world: World) -> None:
    world.publish(record("a", item_code=CONSENT))
    consent = world.give(access_mode=ONCE, data_life_seconds=60)
    first = await world.ask(1, consent=consent.name, request_id="same")
    world.clock.at = NOW + 59
    await world.ask(1, consent=consent.name, request_id="same")
    world.clock.at = NOW + 60
    with pytest.raises(Refused) as caught:
        await world.ask(1, consent=consent.name, request_id="same")
    assert reason(caught) == "REQUEST_ID_REUSED"
    # A fresh one would be a new use: it is not what is advised.
    told = dict(caught.value.metadata)
    receipt = UsageReceipt.FromString(b64decode(told.pop("usage_receipt")))
    assert receipt.leaf == first.receipt.usage.leaf
    assert told == {"cause": "data_life"}
    assert "Do not retry" in caught.value.message


async def test_a_retry_under_a_revoked_consent_is_refused(world: World) -> None:
    world.publish(record("a", item_code=CONSENT))
    consent = world.give()
    await world.ask(1, consent=consent.name, request_id="same")
    consenting.moved(world.consents, consent, "revoke")
    for request_id in ("same", "fresh"):
        assert await refused(world.ask(1, consent=consent.name, request_id=request_id)) == (
            "CONSENT_REVOKED"
        )


async def test_a_consent_ends_with_its_time_to_the_second(world: World) -> None:
    world.publish(record("a", item_code=CONSENT))
    consent = world.give(valid_from=NOW + 10, valid_until=NOW + 20).name
    for at, told in ((9, "CONSENT_NOT_BEGUN"), (10, ""), (19, ""), (20, "CONSENT_EXPIRED")):
        world.clock.at = NOW + at
        if told:
            assert await refused(world.ask(1, consent=consent)) == told
        else:
            assert names(await world.ask(1, consent=consent)) == ["a"]


async def test_who_comes_before_a_consent_begins_is_told_when_it_does(world: World) -> None:
    world.publish(record("a", item_code=CONSENT))
    consent = world.give(valid_from=NOW + 90, valid_until=NOW + 200)
    with pytest.raises(Refused) as caught:
        await world.ask(1, consent=consent.name)
    assert caught.value.reason == RefusalReason.REFUSAL_REASON_CONSENT_NOT_BEGUN
    assert (caught.value.status, caught.value.retry_after) == (StatusCode.PERMISSION_DENIED, 90)


ENDINGS: dict[str, Callable[[World, Consent], object]] = {
    "REVOKED": lambda world, consent: consenting.moved(world.consents, consent, "revoke"),
    "PAUSED": lambda world, consent: consenting.moved(world.consents, consent, "pause"),
    "EXPIRED": lambda world, _: setattr(world.clock, "at", NOW + 1),
}


@always_on_postgresql
@pytest.mark.parametrize("told", ENDINGS)
async def test_what_ends_a_consent_before_the_answer_is_metered_ends_the_answer(
    world: World, told: str
) -> None:
    world.publish(record("a", item_code=CONSENT))
    consent = world.give(valid_until=NOW + 1)
    assert names(await world.ask(1, consent=consent.name)) == ["a"]
    world.lookup.then.append(lambda: ENDINGS[told](world, consent))
    assert await refused(world.ask(1, consent=consent.name)) == f"CONSENT_{told}"
    assert len(world.answers()) == 1


async def test_a_consent_paused_and_resumed_serves_again(world: World) -> None:
    world.publish(record("a", item_code=CONSENT))
    consent = world.give()
    await world.ask(1, consent=consent.name)
    consenting.moved(world.consents, consent, "pause")
    assert await refused(world.ask(1, consent=consent.name)) == "CONSENT_PAUSED"
    consenting.moved(world.consents, consent, "resume")
    assert names(await world.ask(1, consent=consent.name)) == ["a"]


@always_on_postgresql
async def test_a_batch_stops_at_its_subject_when_the_consent_ends_meanwhile(world: World) -> None:
    world.publish(record("a", 5, CONSENT), record("b", 1))
    consent = world.give(5)
    batch = world.batched(list(range(1, 6)), consent=consent.name)
    assert names(await anext(batch)) == ["b"]
    consenting.moved(world.consents, consent, "revoke")
    assert await refused(anext(batch)) == "CONSENT_REVOKED"


async def test_an_item_that_became_public_is_served_whole_and_relies_on_nothing(
    world: World,
) -> None:
    world.publish(record("a", item_code=CONSENT, content=CONTENT))
    cut = ConsentItem(item=CONSENT, fields=frozenset({"score"}))
    consent = world.give(1, cut)
    await world.ask(1, consent=consent.name)
    public = item(CONSENT).model_copy(update={"openness": item(OPEN).openness})
    await world.put(Draft(CATALOGUE_ITEM, CONSENT, 1, public.as_document()))
    answer = await world.ask(1, consent=consent.name)
    assert [each.content for each in answer.records] == [CONTENT]
    assert relied(world) == [consent.name, ""]


async def test_what_an_item_declares_after_the_consent_is_not_served_under_it(
    world: World,
) -> None:
    world.publish(record("a", item_code=CONSENT, content=CONTENT))
    consent = world.give()
    before = item(CONSENT)
    (*_, last) = before.content_fields
    later = last.model_copy(update={"name": "salary"})
    for version, fields in enumerate([(*before.content_fields, later), before.content_fields], 1):
        changed = before.model_copy(update={"content_fields": fields})
        await world.put(Draft(CATALOGUE_ITEM, CONSENT, version, changed.as_document()))
        if version == 1:
            grown = b'{"about":"x","salary":9,"score":7}'
            world.publish(record("b", item_code=CONSENT, content=grown))
        answer = await world.ask(1, consent=consent.name)
        assert [each.content for each in answer.records] == [CONTENT, CONTENT]
        assert [list(each.served_fields) for each in answer.records] == [["about", "score"]] * 2


async def test_a_consent_refused_as_expired_stays_so_when_the_clock_is_set_back(
    world: World,
) -> None:
    world.publish(record("a", item_code=CONSENT))
    consent = world.give(valid_until=NOW + 10)
    assert names(await world.ask(1, consent=consent.name)) == ["a"]
    for at in (NOW + 10, NOW):
        world.clock.at = at
        assert await refused(world.ask(1, consent=consent.name)) == "CONSENT_EXPIRED"


@always_on_postgresql
async def test_a_consent_that_was_used_up_and_taken_back_answers_no_retry(world: World) -> None:
    world.publish(record("a", item_code=CONSENT))
    consent = world.give(access_mode=ONCE)
    for _ in range(2):
        assert names(await world.ask(1, consent=consent.name, request_id="r-1")) == ["a"]
    consenting.moved(world.consents, consent, "revoke")
    assert await refused(world.ask(1, consent=consent.name, request_id="r-1")) == "CONSENT_REVOKED"


async def test_who_remembers_a_consent_refuses_by_what_stands_now(world: World) -> None:
    content = b'{"about":"%s","score":1}' % (b"x" * 2_500)
    world.publish(*(record(f"large-{number}", 1, CONSENT, content=content) for number in range(5)))
    world.publish(record("small", 2, CONSENT), record("open", 2, OPEN))
    one, two = world.give(1), world.give(2)
    assert await refused(world.ask(1, consent=one.name)) == "ANSWER_TOO_LARGE"
    assert names(await world.ask(2, consent=two.name)) == ["small", "open"]
    for consent in (one, two):
        consenting.moved(world.consents, consent, "revoke")
    # No size of what is closed by now, no term of it, and nothing public by a name that is void.
    assert await refused(world.ask(1, consent=one.name)) == "CONSENT_REVOKED"
    assert await refused(world.ask(1, items=[RESTRICTED], consent=two.name)) != "CONSENT_EXCEEDED"
    assert await refused(world.ask(1, consent=two.name)) != "CONSENT_EXCEEDED"
    assert await refused(world.ask(2, items=[OPEN], consent=two.name)) == "CONSENT_REVOKED"


async def test_of_a_consent_that_is_used_up_no_size_is_told(world: World) -> None:
    content = b'{"about":"%s","score":1}' % (b"x" * 2_500)
    world.publish(*(record(f"large-{number}", 1, CONSENT, content=content) for number in range(5)))
    consent = world.give(1, access_mode=ONCE)
    assert await refused(world.ask(1, consent=consent.name)) == "ANSWER_TOO_LARGE"
    await world.batch([1], consent=consent.name)
    # As the clerk does within a second.
    world.consents.settle(consent.consent_id, NOW)
    assert await refused(world.ask(1, consent=consent.name)) == "CONSENT_EXHAUSTED"


@pytest.mark.parametrize("closed_first", [True, False])
@pytest.mark.parametrize("how", ["ask", "get", "batch"])
async def test_a_retry_gives_nothing_in_another_way_than_the_ledger_tells(
    world: World, how: str, closed_first: bool
) -> None:
    """An item has become public, or is so no more: the copy would be another than the ledger tells."""
    world.publish(record("a", item_code=CONSENT, content=CONTENT))
    consent = world.give(1, ConsentItem(item=CONSENT, fields=frozenset({"score"})))
    closed = item(CONSENT)
    public = closed.model_copy(update={"openness": item(OPEN).openness})

    async def ask(request_id: str) -> list[bytes]:
        asked: dict[str, Any] = {"consent": consent.name, "request_id": request_id}
        if how == "get":
            return [(await world.get("a", **asked)).records[0].content]
        answers = [await world.ask(1, **asked)] if how == "ask" else await world.batch([1], **asked)
        return [each.content for answer in answers for each in answer.records]

    if not closed_first:
        await world.put(Draft(CATALOGUE_ITEM, CONSENT, 1, public.as_document()))
    given = await ask("same")
    assert given == await ask("same") == [b'{"score":7}' if closed_first else CONTENT]
    later, version = (public, 1) if closed_first else (closed, 2)
    await world.put(Draft(CATALOGUE_ITEM, CONSENT, version, later.as_document()))
    assert await refused(ask("same")) == "REQUEST_SUPERSEDED"
    assert await ask("anew") != given
