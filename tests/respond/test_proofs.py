"""Answers that prove themselves: complete or disclosed, or refused before anything is charged."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from consent.model import ConsentItem
from creditgate.refusal import Refused
from creditgate.v1 import credit_record_service_pb2 as pb
from creditgate.v1.vocabulary_pb2 import Openness
from gateway.catalogue.model import CATALOGUE_ITEM
from gateway.disclose.frame import unframe
from gateway.respond import proofs
from gateway.respond.request import COMPLETE, INCLUSION
from operators.log import Draft
from operators.model import LICENCE
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.meter.world import NOW, company
from tests.respond.test_details import holding
from tests.respond.world import (
    ALPHA,
    CONSENT,
    OPEN,
    OTHER,
    PURPOSE,
    RESTRICTED,
    World,
    item,
    names,
    operator,
    reason,
    record,
)

pytestmark = rarely_on_postgresql

CONTENT = b'{"about":"x","score":7}'
EVERYWHERE = operator("alpha", regions=frozenset({"*"}))[1].document


async def refused(call: Awaitable[object]) -> str:
    """Return why a call is refused."""
    with pytest.raises(Refused) as told:
        await call
    return reason(told)


async def license_everywhere(world: World) -> None:
    """Give operator alpha a licence for all regions."""
    await world.put(Draft(LICENCE, "licence-alpha", 1, EVERYWHERE))


async def test_complete_answer_proves_all_records_of_the_items_allowed(world: World) -> None:
    world.publish(
        record("a", disclosed_until=NOW + 100), record("b", item_code=OTHER), record("c", 2)
    )
    world.logged()
    verified = await world.proved(1)
    assert names(verified) == ["a", "b"]
    (subject,) = verified.subjects
    assert (subject.subject, subject.items, subject.all_public) == (company(1), (), True)
    assert not subject.protected
    assert not subject.withheld
    assert verified.head is not None
    assert verified.head.until == NOW + 100
    assert names(await world.proved(1, items=[OTHER])) == ["b"]
    assert world.charged() == 3


async def test_complete_answer_proves_that_there_is_nothing(world: World) -> None:
    world.publish(record("a", 2))
    world.logged()
    for number in (1, 2):
        verified = await world.proved(number, items=[OTHER])
        assert verified.records == ()
        assert verified.subjects[0].items == (OTHER,)
    assert world.charged() == 0


async def test_inclusion_proves_each_record_public_or_consented_whole_or_cut(world: World) -> None:
    world.publish(record("a"), record("b", item_code=CONSENT, content=CONTENT), record("c"))
    world.disclosure.correct(record("c", content=b'{"about":"y"}'))
    world.logged()
    whole = await world.proved(1, proof=INCLUSION, consent=world.give().name)
    assert names(whole) == ["a", "b", "c"]
    assert whole.records[2].revision == 2
    cut = world.give(1, ConsentItem(item=CONSENT, fields=frozenset({"score"})))
    verified = await world.proved(1, proof=INCLUSION, consent=cut.name, items=[CONSENT])
    assert [each.content for each in verified.records] == [b'{"score":7}']
    assert (await world.proved(9, proof=INCLUSION)).records == ()


async def test_one_record_is_proved_to_be_disclosed(world: World) -> None:
    world.publish(record("a"))
    world.logged()
    answer = await world.get("a", proof=INCLUSION)
    assert answer.proof.records[0].record == "records/a"
    assert await refused(world.get("b", proof=INCLUSION)) == "RECORD_NOT_DISCLOSED"
    assert await refused(world.get("a", proof=COMPLETE)) == "INVALID_REQUEST"


async def test_answer_without_a_proof_asked_for_carries_neither_proof_nor_signature(
    world: World,
) -> None:
    world.publish(record("a"))
    world.logged()
    for answer in (await world.ask(1), await world.get("a"), *await world.batch([1, 2])):
        assert not answer.HasField("proof")
        assert not answer.HasField("signature")


@pytest.mark.parametrize("ahead", [3, 300])
async def test_what_was_logged_by_a_clock_ahead_is_proved_once_time_has_caught_up(
    world: World, ahead: int
) -> None:
    world.publish(record("a"))
    world.clock.at += ahead
    world.logged()
    world.clock.at -= ahead
    with pytest.raises(Refused) as told:
        await world.proved(1)
    assert reason(told) == "TEMPORARILY_UNAVAILABLE"
    assert told.value.retry_after == ahead
    assert names(await world.proved(1, proof=INCLUSION)) == ["a"]
    world.clock.at += ahead
    assert names(await world.proved(1)) == ["a"]
    assert world.charged() == 2


async def test_records_outside_the_licence_are_counted_and_not_shown(world: World) -> None:
    world.publish(
        record("a"), record("b", region="330000"), record("c", item_code=OTHER, region="330000")
    )
    world.logged()
    verified = await world.proved(1)
    assert names(verified) == ["a"]
    assert dict(verified.subjects[0].withheld) == {OPEN: 1, OTHER: 1}
    assert world.charged() == 1


async def test_consented_items_are_complete_where_licence_and_consent_cover_all_regions(
    world: World,
) -> None:
    await license_everywhere(world)
    world.publish(
        record("a", item_code=CONSENT, content=CONTENT),
        record("b", item_code=CONSENT, content=b'{"about":"y"}', region="330000"),
        record("c"),
        record("d", item_code=RESTRICTED),
    )
    world.logged()
    verified = await world.proved(1, consent=world.give().name)
    assert names(verified) == ["a", "b", "c"]
    (subject,) = verified.subjects
    assert (subject.items, subject.protected) == ((CONSENT,), {CONSENT})
    assert subject.all_public
    cut = world.give(1, ConsentItem(item=CONSENT, fields=frozenset({"score"})))
    verified = await world.proved(1, consent=cut.name, items=[CONSENT])
    assert [each.content for each in verified.records] == [b'{"score":7}', b"{}"]
    # That there is none is proved too, and without a consent nothing of it is told.
    assert (await world.proved(2, consent=world.give(2).name)).subjects[0].protected == {CONSENT}
    assert (await world.proved(1)).subjects[0].items == ()


async def test_consented_items_cannot_be_complete_within_some_regions_whatever_there_is(
    world: World,
) -> None:
    """G11: the refusal is the same where there is nothing."""
    world.publish(record("a", 1, CONSENT), record("b", 1))
    world.logged()
    told: list[str] = []
    for number in (1, 2):
        with pytest.raises(Refused) as refusal:
            await world.proved(number, consent=world.give(number).name)
        told.append(str(refusal.value))
    assert told[0] == told[1]
    assert world.lookup.readings == 0
    await license_everywhere(world)
    there = world.give(1, regions=frozenset({"11"})).name
    assert await refused(world.proved(1, consent=there)) == "INVALID_REQUEST"
    assert names(await world.proved(1, consent=there, items=[OPEN])) == ["b"]
    assert names(await world.proved(1, consent=there, proof=INCLUSION)) == ["a", "b"]


async def test_retry_may_ask_for_another_proof_and_is_not_charged(world: World) -> None:
    world.publish(record("a"))
    world.logged()
    first = await world.proved(1, request_id="same")
    again = await world.proved(1, request_id="same", proof=INCLUSION)
    none = await world.ask(1, request_id="same")
    assert [found.receipt.replayed for found in (first, again, none)] == [False, True, True]
    assert world.charged() == 1


async def test_chunks_prove_all_their_subjects_also_when_they_come_in_parts(world: World) -> None:
    long = b'{"about":"' + b"x" * 90 + b'"}'
    world.publish(
        *(
            record(f"r-{number}-{each}", number, content=long)
            for number in (1, 2, 6)
            for each in range(14)
        )
    )
    world.logged()
    for kind in (COMPLETE, INCLUSION):
        chunks = await world.proved_chunks([2, 7, 1, 8, 6, 9], proof=kind, items=[OPEN])
        assert [len(chunk.records) for chunk in chunks] == [28, 14]
        assert [[each.subject for each in chunk.subjects] for chunk in chunks] == (
            [[company(2), company(7), company(1), company(8)], [company(6), company(9)]]
            if kind == COMPLETE
            else [[], []]
        )


async def test_batch_proves_consented_items_of_who_consented_alone(world: World) -> None:
    await license_everywhere(world)
    world.publish(record("a", 1, CONSENT), record("b", 2, CONSENT), record("c", 2))
    world.logged()
    (chunk,) = await world.proved_chunks([1, 2], consent=world.give(1).name)
    assert names(chunk) == ["a", "c"]
    assert [subject.protected for subject in chunk.subjects] == [{CONSENT}, frozenset()]


async def test_resumed_batch_is_verified_by_the_request_that_was_sent_again(world: World) -> None:
    world.publish(*(record(f"r-{number}", number) for number in range(1, 7)))
    world.logged()
    first = await world.proved_chunks(range(1, 7), request_id="same")
    (second,) = await world.proved_chunks(range(1, 7), request_id="same", resume_from=4)
    assert (second.records, second.receipt.replayed) == (first[1].records, True)


async def test_details_of_the_token_narrow_what_is_proved(world: World) -> None:
    world.publish(record("a"), record("b", item_code=OTHER))
    world.logged()
    bound = holding({"items": [OPEN]})
    verified = await world.proved(1, asking=bound)
    assert names(verified) == ["a"]
    # What the token leaves out is told of.
    assert dict(verified.subjects[0].withheld) == {OTHER: 1}


async def test_what_lies_outside_the_regions_of_a_question_is_told_of(world: World) -> None:
    world.publish(record("a"), record("b", region="110105"))
    world.logged()
    verified = await world.proved(1, regions=["1101"], items=[OPEN])
    assert names(verified) == ["b"]
    assert dict(verified.subjects[0].withheld) == {OPEN: 1}


async def test_answer_waits_for_the_log_and_is_proved_at_the_newest_event(world: World) -> None:
    await world.logger.start()
    for number in range(3):
        (sequence,) = world.publish(record(f"r-{number}"))
        verified = await world.proved(1)
        assert len(verified.records) == number + 1
        assert verified.head is not None
        assert verified.head.event_sequence >= sequence
    world.publish(record("late", 5))
    assert names(await world.proved(5, proof=INCLUSION)) == ["late"]


@pytest.mark.parametrize("kind", [COMPLETE, INCLUSION])
async def test_what_stays_unproved_is_refused_and_not_charged(
    world: World, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    monkeypatch.setattr(proofs, "PATIENCE_SECONDS", 0.1)
    world.publish(record("a"))
    with pytest.raises(Refused) as refusal:
        await world.proved(1, proof=kind)
    assert reason(refusal) == "TEMPORARILY_UNAVAILABLE"
    assert refusal.value.retry_after
    assert world.charged() == 0
    assert names(await world.ask(1)) == ["a"]


async def test_map_of_an_earlier_instant_is_not_taken_for_the_present(world: World) -> None:
    """G2: a record that has expired since, or begun, is not proved by the old map."""
    world.publish(record("old", disclosed_until=NOW + 10), record("new", disclosed_from=NOW + 10))
    world.logged()
    assert names(await world.proved(1)) == ["old"]
    world.clock.at = NOW + 10
    await world.logger.start()
    verified = await world.proved(1)
    assert names(verified) == ["new"]
    assert verified.head is not None
    assert verified.head.since == NOW + 10


@always_on_postgresql
@pytest.mark.parametrize("change", ["end", "publish", "correct"])
async def test_disclosure_that_changes_under_the_call_is_read_anew(
    world: World, change: str
) -> None:
    world.publish(record("a"), record("b"))
    world.logged()
    world.lookup.readings = 0

    def changed() -> None:
        match change:
            case "end":
                world.disclosure.repair("a")
            case "publish":
                world.publish(record("c"))
            case _:
                world.disclosure.correct(record("a", content=b'{"about":"y"}'))
        world.logged()

    world.lookup.then = [changed]
    verified = await world.proved(1)
    expected = {"end": ["b"], "publish": ["a", "b", "c"], "correct": ["b", "a"]}
    assert names(verified) == expected[change]
    assert world.lookup.readings == 2
    assert world.charged() == len(verified.records)


@always_on_postgresql
async def test_item_that_becomes_protected_is_proved_as_such_once_the_map_has_moved_it(
    world: World,
) -> None:
    await license_everywhere(world)
    world.publish(record("a", content=CONTENT), record("b", item_code=CONSENT))
    world.logged()
    closed = item(OPEN).model_copy(update={"openness": Openness.OPENNESS_CONSENT})
    await world.put(Draft(CATALOGUE_ITEM, OPEN, 1, closed.as_document()))
    await world.logger.start()
    consent = world.give(1, OPEN, CONSENT).name
    verified = await world.proved(1, consent=consent)
    assert verified.subjects[0].protected == {OPEN, CONSENT}
    assert names(await world.proved(1, consent=consent, proof=INCLUSION)) == ["a", "b"]
    cut = world.give(1, ConsentItem(item=OPEN, fields=frozenset({"score"}))).name
    assert len((await world.proved(1, consent=cut, items=[OPEN])).records) == 1
    # Its event was logged as that of a public record, whose digest would tell the rest.
    unproved = world.proved(1, consent=cut, items=[OPEN], proof=INCLUSION)
    assert await refused(unproved) == "INVALID_REQUEST"


@always_on_postgresql
async def test_answers_ready_together_are_signed_by_one_signature(world: World) -> None:
    world.publish(*(record(f"r-{number}", number) for number in range(1, 8)))
    world.logged()
    answers = await asyncio.gather(*(world.ask(number, proof=COMPLETE) for number in range(1, 8)))
    sizes = [answer.signature.size for answer in answers]
    assert max(sizes) > 1
    assert len({answer.signature.signature for answer in answers}) < len(answers)
    await asyncio.gather(*(world.proved(number) for number in range(1, 8)))


async def test_proof_too_long_for_a_message_is_refused_before_it_is_charged(world: World) -> None:
    world.publish(*(record(f"r-{number}") for number in range(40)))
    world.logged()
    assert len((await world.ask(1)).records) == 40
    assert await refused(world.proved(1, proof=INCLUSION)) == "ANSWER_TOO_LARGE"
    assert await refused(world.proved_chunks([1], proof=INCLUSION)) == "ANSWER_TOO_LARGE"
    assert world.charged() == 40


async def test_answer_with_a_proof_is_the_stored_bytes_too(world: World) -> None:
    """G1."""
    world.publish(record("a", content=CONTENT))
    world.logged()
    found = await world.lookup.of_subject(company(1))
    request = pb.GetSubjectRecordsRequest(
        subject=company(1), purpose=PURPOSE, request_id=world.fresh(), proof=COMPLETE
    )
    answer = await world.service.get_subject_records(request, ALPHA)
    assert answer.startswith(found.revisions[0][5] + b"\x12")
    assert unframe(found.revisions[0][5]).content == CONTENT
