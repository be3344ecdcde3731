"""Proofs read from the map, checked as who is given them checks them (G1, G11)."""

import asyncio
from collections.abc import AsyncIterator
from threading import Event, current_thread

import pytest
from sqlalchemy import Delete, Update, delete, event, update

from creditgate.transparency.facts import public_key
from gateway.storage.engines import Engines
from gateway.transparency.map_reader import FEW, MapNotReady
from gateway.transparency.map_sets import MapDiffers, SubjectAsk
from gateway.transparency.map_tables import MAP_HEAD, MAP_MEMBERS, MAP_SETS, MAP_TILES
from gateway.transparency.map_tiles import MapDamaged
from tests.clock import NOW
from tests.examples import always_on_postgresql, examples, rarely_on_postgresql
from tests.transparency.mapped import (
    ITEMS,
    LICENCE,
    PENALTY,
    RATING,
    SUBJECTS,
    Mapped,
    admitted,
)

pytestmark = rarely_on_postgresql

ALL = SubjectAsk(SUBJECTS[0], None, True, ())


@pytest.fixture
async def mapped(engines: Engines) -> AsyncIterator[Mapped]:
    """A disclosure with records of two subjects, and its proofs."""
    mapped = Mapped(engines)
    mapped.publish(SUBJECTS[0], PENALTY, NOW - 5, NOW + 100)
    mapped.publish(SUBJECTS[0], PENALTY, NOW - 5, None)
    mapped.publish(SUBJECTS[0], LICENCE, NOW - 5, None)
    mapped.publish(SUBJECTS[0], RATING, NOW - 5, None)
    mapped.publish(SUBJECTS[0], LICENCE, NOW + 50, None)
    mapped.publish(SUBJECTS[1], RATING, NOW - 5, None)
    mapped.follow()
    yield mapped
    mapped.reader.close()


@always_on_postgresql
async def test_all_there_is_of_the_items_asked_about_is_proved(mapped: Mapped) -> None:
    head, proved, proofs = await mapped.proved(SUBJECTS[0], [PENALTY, RATING])
    assert (head.event_sequence, head.since, head.until) == (6, NOW, NOW + 50)
    assert proved.items == (RATING, PENALTY)
    found = proofs.subjects[0]
    assert found.public is not None
    assert [member.sequence for member in found.public.members] == [1, 2]
    assert [other.item for other in found.public.other_items] == [LICENCE]
    assert [member.sequence for member in found.protected[0].members] == [4]
    assert (proofs.head_event_sequence, proofs.map_time, proofs.holds_until) == (6, NOW, NOW + 50)


async def test_every_public_item_is_proved_where_all_are_asked_for(mapped: Mapped) -> None:
    _, proved, proofs = await mapped.proved(SUBJECTS[0], all_public=True)
    found = proofs.subjects[0].public
    assert proved.all_public
    assert found is not None
    assert not found.other_items
    assert [member.item for member in found.members] == [LICENCE, PENALTY, PENALTY]


async def test_that_there_is_nothing_is_proved(mapped: Mapped) -> None:
    for subject, items in ((SUBJECTS[1], [PENALTY]), (SUBJECTS[2], [PENALTY, RATING])):
        _, proved, proofs = await mapped.proved(subject, items)
        assert proved.items == tuple(sorted(items))
        found = proofs.subjects[0]
        assert found.public is not None
        assert not found.public.members
        assert not any(each.members or each.salt for each in found.protected)


@always_on_postgresql
async def test_many_subjects_are_proved_against_one_checkpoint(mapped: Mapped) -> None:
    mapped.publish_all(
        [
            admitted(f"many-{number}", f"{number:018d}", ITEMS[number % 3], NOW, None, "A")
            for number in range(900)
        ]
    )
    mapped.follow()
    subjects = [f"{number:018d}" for number in range(0, 1_200, 7)]
    asks = [SubjectAsk(subject, frozenset((PENALTY,)), False, (RATING,)) for subject in subjects]
    proofs = await mapped.reader.proofs(asks)
    assert [sets.subject for sets in proofs.subjects] == subjects
    for sets in proofs.subjects:
        mapped.verified(proofs, sets, sorted((PENALTY, RATING)), all_public=False)


async def test_a_later_reading_proves_what_is_then(mapped: Mapped) -> None:
    _, _, before = await mapped.proved(SUBJECTS[0], ITEMS)
    mapped.end("record-1")
    mapped.follow()
    _, _, after = await mapped.proved(SUBJECTS[0], ITEMS)
    assert after.checkpoint.size == before.checkpoint.size + 2
    public = after.subjects[0].public
    assert public is not None
    assert 1 not in [member.sequence for member in public.members]


@always_on_postgresql
async def test_proofs_read_while_the_map_grows_belong_together(mapped: Mapped) -> None:
    done = asyncio.Event()

    async def read() -> int:
        readings = 0
        while not done.is_set():
            await mapped.proved(SUBJECTS[0], ITEMS)
            await asyncio.sleep(0.01)
            readings += 1
        return readings

    def grow() -> None:
        for number in range(examples(60)):
            mapped.publish(SUBJECTS[0], ITEMS[number % 3])
            mapped.publish(f"{number:018d}", ITEMS[number % 3])
            mapped.follow()

    reading = asyncio.create_task(read())
    await asyncio.to_thread(grow)
    done.set()
    assert await reading > 3


async def test_an_item_whose_openness_has_changed_is_told(mapped: Mapped) -> None:
    with pytest.raises(MapDiffers):
        await mapped.reader.proofs([SubjectAsk(SUBJECTS[0], frozenset((RATING,)), False, ())])
    with pytest.raises(MapDiffers):
        await mapped.reader.proofs([SubjectAsk(SUBJECTS[0], None, False, (PENALTY,))])
    mapped.protect(PENALTY, True)
    mapped.follow()
    await mapped.proved(SUBJECTS[0], ITEMS)
    assert (await mapped.reader.openness()).protected(PENALTY)


async def test_without_a_checkpoint_there_is_no_proof(engines: Engines) -> None:
    mapped = Mapped(engines)
    with pytest.raises(MapNotReady):
        await mapped.reader.proofs([ALL])
    with pytest.raises(MapNotReady):
        await mapped.reader.openness()
    mapped.reader.close()


OWN = MAP_MEMBERS.c.subject == SUBJECTS[0], MAP_MEMBERS.c.item == PENALTY
OWN_SETS = MAP_SETS.c.subject == SUBJECTS[0]
ANOTHER_HEAD = update(MAP_HEAD).values(number=MAP_HEAD.c.number + 1)


@pytest.mark.parametrize(
    "changes",
    [
        [delete(MAP_MEMBERS).where(*OWN, MAP_MEMBERS.c.sequence == 1)],
        [update(MAP_MEMBERS).where(*OWN).values(disclosed_from=NOW + 1)],
        [update(MAP_MEMBERS).where(*OWN).values(digest=b"\x01" * 32)],
        [delete(MAP_SETS).where(OWN_SETS, MAP_SETS.c.item == PENALTY)],
        [update(MAP_SETS).where(OWN_SETS, MAP_SETS.c.item == RATING).values(salted_by=99)],
        [ANOTHER_HEAD.values(public_root=b"\x01" * 32)],
        [delete(MAP_TILES), ANOTHER_HEAD],
    ],
    ids=("a member gone", "a period", "a digest", "a set gone", "a salt", "a root", "no tiles"),
)
async def test_a_map_that_was_altered_in_the_store_proves_nothing(
    mapped: Mapped, changes: list[Delete | Update]
) -> None:
    everything = [ALL._replace(protected_items=(RATING,))]
    await mapped.reader.proofs(everything)
    with mapped.engines.evidence.begin() as connection:
        for change in changes:
            connection.execute(change)
    with pytest.raises(MapDamaged):
        await mapped.reader.proofs(everything)


async def test_the_public_key_of_a_subject_is_all_that_leads_to_its_leaf(mapped: Mapped) -> None:
    _, _, proofs = await mapped.proved(SUBJECTS[3], all_public=True)
    found = proofs.subjects[0].public
    assert found is not None
    # Only one subject has public records: it stands at the root, in the place of all others.
    assert found.path.other_key == public_key(SUBJECTS[0])


def _many(count: int) -> list[SubjectAsk]:
    return [SubjectAsk(f"{number:018d}", None, True, ()) for number in range(count)]


async def test_many_asks_at_once_keep_no_other_call_waiting(
    mapped: Mapped, engines: Engines
) -> None:
    mapped.publish_all(
        [
            admitted(f"r-{number}", f"{number:018d}", LICENCE, NOW, None, "A")
            for number in range(400)
        ]
    )
    mapped.follow()
    may_end = Event()

    def hold(*_: object) -> None:
        if current_thread().name.startswith("map-batches"):
            assert may_end.wait(30)

    event.listen(engines.evidence, "before_cursor_execute", hold)
    batch = asyncio.create_task(mapped.reader.proofs(_many(400)))
    try:
        for _ in range(400 // FEW):
            await asyncio.sleep(0)
            single = await mapped.reader.proofs([ALL])
            assert not batch.done()
            assert single.subjects[0].public is not None
    finally:
        may_end.set()
    proofs = await batch
    assert [len(each.public.members) for each in proofs.subjects if each.public] == [1] * 400


async def test_a_batch_is_of_one_checkpoint_whatever_is_logged_meanwhile(mapped: Mapped) -> None:
    asks = [*_many(300), ALL]
    batch = asyncio.create_task(mapped.reader.proofs(asks))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.to_thread(mapped.publish, SUBJECTS[0], LICENCE)
    await asyncio.to_thread(mapped.follow)
    found = (await batch).subjects[-1].public
    single = (await mapped.reader.proofs([ALL])).subjects[0].public
    assert found is not None
    assert single is not None
    assert len(single.members) == len(found.members) + 1


@always_on_postgresql
async def test_a_reading_takes_one_connection_at_most_and_on_the_event_loop_none(
    mapped: Mapped, engines: Engines
) -> None:
    out: list[str] = []
    most = 0

    def taken(*_: object) -> None:
        nonlocal most
        out.append(current_thread().name)
        most = max(most, len(out))

    event.listen(engines.evidence, "checkout", taken)
    event.listen(engines.evidence, "checkin", lambda *_: out.clear())
    await mapped.reader.proofs([ALL])
    await mapped.reader.openness()
    assert most == (0 if engines.evidence.dialect.name == "sqlite" else 1)
