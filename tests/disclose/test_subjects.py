"""Whom revisions are about."""

import pytest

from gateway.disclose import subjects as module
from gateway.disclose.subjects import Subjects
from gateway.storage.engines import Engines, reading
from tests.catalogue.drafts import credit_code, penalty
from tests.disclose.world import World, batch


@pytest.fixture
async def published(world: World) -> World:
    await world.publish(
        batch("b-1", *(penalty(f"p-{n}", subject=credit_code(n % 3)) for n in range(9)))
    )
    return world


async def test_revisions_are_of_the_subjects_they_were_published_for(
    published: World, engines: Engines
) -> None:
    subjects = Subjects()
    with reading(engines.records) as connection:
        found = subjects.of(connection, range(1, 10))
        again = subjects.of(connection, [4])

    assert found == {n + 1: credit_code(n % 3) for n in range(9)}
    assert again[4] == credit_code(0)


async def test_a_revision_that_is_not_there_is_left_out_and_looked_for_again(
    published: World, engines: Engines
) -> None:
    subjects = Subjects()
    with reading(engines.records) as connection:
        assert 10 not in subjects.of(connection, [9, 10])
    await published.publish(batch("b-2", penalty("late", subject=credit_code(5))))
    with reading(engines.records) as connection:
        assert subjects.of(connection, [9, 10])[10] == credit_code(5)


async def test_all_that_is_asked_for_is_found_however_little_is_remembered(
    published: World, engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_KNOWN", 4)
    monkeypatch.setattr(module, "_AT_ONCE", 2)
    subjects = Subjects()
    with reading(engines.records) as connection:
        first = subjects.of(connection, [1, 2, 3])
        then = subjects.of(connection, [3, 4, 5, 6, 7, 8, 9])

    assert first == {n: credit_code(n - 1) for n in (1, 2, 3)}
    assert then == {n: credit_code((n - 1) % 3) for n in range(3, 10)}
