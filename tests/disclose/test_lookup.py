"""Lookup finds what is live, and what it costs does not grow with the disclosure."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import Connection, Dialect, Select, text

from creditgate.v1.credit_record_service_pb2 import GetSubjectRecordsResponse
from gateway.disclose.frame import frame, unframe
from gateway.disclose.lookup import PooledLookup, by_record, by_subjects
from gateway.disclose.model import Line
from tests.catalogue.drafts import credit_code, penalty, registration
from tests.disclose.world import World, batch, soon
from tests.examples import rarely_on_postgresql


async def test_nothing_is_found_before_the_first_publication(world: World) -> None:
    found = await world.lookup.of_subject(credit_code(1))
    assert (found.head, list(found.revisions)) == (0, [])


async def test_who_asks_where_nothing_can_be_read_is_told(world: World) -> None:
    """As where the system lets a process have no more threads."""
    lookup = PooledLookup(world.engines.records, soon)
    lookup.close()
    with pytest.raises(RuntimeError, match="after shutdown"):
        await asyncio.wait_for(lookup.of_subject(credit_code(1)), 10)


async def test_records_are_found_by_subject_in_order_of_publication(world: World) -> None:
    one, two = credit_code(1), credit_code(2)
    await world.publish(
        batch("b-1", penalty("z", subject=one), penalty("y", subject=two)),
        batch("b-2", penalty("x", subject=one)),
    )
    found = await world.lookup.of_subject(one)
    assert found.head == 3
    assert [unframe(row[5]).name for row in found.revisions] == ["records/z", "records/x"]
    assert {row[0] for row in found.revisions} == {one}


@rarely_on_postgresql
@pytest.mark.parametrize("count", [1, 127, 128, 129, 300])
async def test_any_number_of_subjects_is_found_at_once(world: World, count: int) -> None:
    subjects = [credit_code(number) for number in range(count)]
    drafts = [
        draft(f"{draft.__name__}-{number}", subject=subject)
        for draft in (penalty, registration)
        for number, subject in enumerate(subjects)
    ]
    stranger = penalty("stranger", subject=credit_code(1_000))
    await world.publish(batch("b-1", *drafts, stranger))
    found = await world.lookup.of_subjects(subjects)
    assert found.head == 2 * count + 1
    assert sorted(row[1] for row in found.revisions) == list(range(1, 2 * count + 1))
    groups = [row[0] for row in found.revisions]
    assert [one for one, other in pairwise(groups) if one != other] == list(dict.fromkeys(groups))[
        :-1
    ]


async def test_record_is_found_by_its_id_alone(world: World) -> None:
    await world.publish(batch("b-1", penalty("p-1"), penalty("p-10")))
    (row,) = (await world.lookup.of_record("p-1")).revisions
    assert unframe(row[5]).name == "records/p-1"
    assert not (await world.lookup.of_record("p-")).revisions


async def test_revenue_lines_are_numbered_once(world: World) -> None:
    await world.publish(batch("b-1", penalty("p-1"), registration("r-1"), penalty("p-2")))
    await world.publish(batch("b-2", registration("r-2")))
    penalties = Line("penalty.administrative", "生态环境部", "000000")
    registrations = Line("registration.enterprise", "国家市场监督管理总局", "000000")
    lines = await world.lookup.lines()
    assert sorted(lines.values()) == sorted([penalties, registrations])
    assert set(lines) == {1, 2}
    assert lines == world.store.lines()
    found = await world.lookup.of_subject(credit_code(1))
    assert [lines[row[2]] for row in found.revisions] == [
        penalties,
        registrations,
        penalties,
        registrations,
    ]


async def test_frames_joined_are_a_response(world: World) -> None:
    long = penalty("p-2", facts="实" * 4_000)
    await world.publish(batch("b-1", penalty("p-1"), long, registration("r-1")))
    frames = [row[5] for row in (await world.lookup.of_subject(credit_code(1))).revisions]
    response = GetSubjectRecordsResponse.FromString(b"".join(frames))
    assert list(response.records) == [unframe(stored) for stored in frames]
    assert [frame(record) for record in response.records] == frames
    assert response.records[1].content == long.content


def plan(connection: Connection, statement: str) -> str:
    """Return how the store means to run a statement."""
    explain = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
    rows = connection.execute(text(f"{explain} {statement}"))
    return "\n".join(str(row[-1]) for row in rows)


def written(dialect: Dialect, statement: Select[*tuple[Any, ...]]) -> str:
    """Return a lookup's statement with a subject that is nobody's."""
    compiled = statement.compile(dialect=dialect)
    nobody = {"subjects": """'["x"]'""" if dialect.name == "sqlite" else "'{x}'", "record": "'x'"}
    sql = str(compiled)
    for name in compiled.params:
        sql = sql.replace(f"%({name})s", nobody[name]).replace("?", nobody[name])
    return sql


async def test_lookups_go_by_index(world: World) -> None:
    drafts = [penalty(f"p-{n}", subject=credit_code(n // 2)) for n in range(5_000)]
    await world.publish(batch("b-1", *drafts))
    engine = world.engines.records
    on_sqlite = engine.dialect.name == "sqlite"
    by_live_subject = "ix_record_revisions_live_subject"
    by_id = "autoindex" if on_sqlite else "uq_record_revisions_record_revision"
    with engine.begin() as connection:
        connection.execute(text("ANALYZE"))
        for statement, index in (
            (by_subjects(engine.dialect.name), by_live_subject),
            (by_record(), by_id),
        ):
            told = plan(connection, written(engine.dialect, statement))
            assert index in told, told
            assert "SCAN record_revisions" not in told, told
            assert "Seq Scan" not in told, told
