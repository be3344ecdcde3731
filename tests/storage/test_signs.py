"""Signs of news: of the file that was committed to and of no other."""

from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import Engine, delete

from gateway.storage.engines import Engines, open_engines
from gateway.storage.signs import StoreSigns, any_of, open_signs, open_waiting_sign
from gateway.storage.writes import ANY_WRITES, WRITES, wrote
from tests.stores import PostgresStores, engines_of


def written(engine: Engine, table: str) -> None:
    """Commit something to a file."""
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE {table} (number INTEGER)")


def test_each_file_has_a_sign_of_its_own(tmp_path: Path) -> None:
    engines = open_engines("sqlite", tmp_path)
    with ExitStack() as stack:
        signs = open_signs(engines, stack)

        def values() -> list[object]:
            return [sign() for sign in signs if sign is not None]

        before = values()
        assert values() == before
        assert len(before) == len(StoreSigns._fields)
        for engine, table, news in (
            (engines.authority, "news", 0),
            (engines.records, "main.news", 1),
            (engines.records, "disclosure.events", 2),
            (engines.evidence, "news", 3),
        ):
            written(engine, table)
            after = values()
            changed = [
                place
                for place, (old, new) in enumerate(zip(before, after, strict=True))
                if old != new
            ]
            assert changed == [news]
            before = after
    engines.dispose()


def test_news_of_several_signs_shows_in_one_and_without_one_of_them_there_is_none() -> None:
    news, other = [0], [0]
    together = any_of(lambda: other[0], lambda: news[0])
    assert together is not None
    before = together()
    assert together() == before
    news[0] = 1
    assert together() != before
    assert any_of(lambda: news[0], None) is None


def test_on_postgresql_all_stores_are_one_and_so_are_their_signs(
    postgres_stores: PostgresStores,
) -> None:
    with (
        postgres_stores.database() as store,
        engines_of(*store) as engines,
        ExitStack() as stack,
    ):
        signs = open_signs(engines, stack)
        assert signs.records is not None
        assert set(signs) == {signs.records}


def test_what_waits_is_news_until_it_is_taken_away_whatever_waited_before(
    engines: Engines,
) -> None:
    evidence = engines.evidence
    with ExitStack() as stack:
        sign = open_waiting_sign(evidence, ANY_WRITES, stack)
        if evidence.dialect.name == "postgresql":
            assert sign is None
            return
        assert sign is not None
        idle = sign()
        assert sign() == idle
        seen: list[object] = [idle]
        for _ in range(2):
            with evidence.begin() as connection:
                wrote(connection, WRITES, [(1,)])
            seen.append(sign())
            with evidence.begin() as connection:
                connection.execute(delete(WRITES))
            assert sign() == idle
    assert seen[1] != idle
    assert seen[2] not in seen[:2]
