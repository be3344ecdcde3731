"""Every table of every store is checked, or carries no fact for a reason that is told."""

from sqlalchemy import Engine, inspect, text

from gateway.selfcheck.coverage import (
    BY_FACTS,
    MADE_ANEW,
    NO_FACT,
    NO_FACT_COLUMNS,
    NO_FACT_ROWS,
    NOT_COVERED,
)
from gateway.selfcheck.kept import KEPT
from gateway.storage.engines import DISCLOSURE, Engines
from tests.quality.project import ROOT
from tests.storage.schemas import TABLES

HOW = (
    "add it to gateway/selfcheck: KEPT (its rows are logged state by state, and whoever writes"
    " them tells so), MADE_ANEW (with its check), or NO_FACT (with the reason)"
)


def tables_of(engines: Engines) -> set[str]:
    """Return every table of an installation's stores, Alembic's own too; of one kept in parts the
    whole alone."""
    found: set[str] = set()
    for engine in (engines.authority, engines.records, engines.evidence):
        found |= set(inspect(engine).get_table_names()) - _parts(engine)
    if engines.records.dialect.name == "sqlite":
        found |= set(inspect(engines.records).get_table_names(schema=DISCLOSURE))
    return found


def _parts(engine: Engine) -> set[str]:
    if engine.dialect.name == "sqlite":
        return set()
    with engine.connect() as connection:
        query = text("SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'")
        return set(connection.execute(query).scalars())


def test_what_is_checked_and_what_is_not_are_all_the_tables_there_are(engines: Engines) -> None:
    listed = [*BY_FACTS, *MADE_ANEW, *NO_FACT]
    assert len(listed) == len(set(listed)), "a table is listed twice"
    there = tables_of(engines)
    unlisted = sorted(there - set(listed))
    assert not unlisted, f"nobody checks {', '.join(unlisted)}: {HOW}"
    assert set(listed) == there


def test_columns_that_carry_no_fact_are_of_tables_that_are_checked() -> None:
    columns = {
        f"{table.name}.{column.name}"
        for metadatas in TABLES.values()
        for metadata in metadatas
        for table in metadata.sorted_tables
        for column in table.columns
    }
    assert columns >= NO_FACT_COLUMNS.keys()
    assert {name.split(".")[0] for name in NO_FACT_COLUMNS} <= BY_FACTS | MADE_ANEW
    assert NO_FACT_ROWS.keys() <= MADE_ANEW


def test_what_is_not_logged_of_a_table_that_is_carries_no_fact_or_has_its_digest_logged() -> None:
    omitted = {f"{name}.{column}" for name, kept in KEPT.items() for column in kept.omitted}
    assert omitted - NO_FACT_COLUMNS.keys() == {"credit_reports.document"}
    assert "document_digest" in KEPT["credit_reports"].table.columns


def test_the_documentation_has_each_table_and_column_that_carries_no_fact_with_its_reason() -> None:
    page = " ".join((ROOT / "docs" / "proofs.md").read_text().split())
    for name, reason in NOT_COVERED.items():
        assert f"`{name}`" in page, name
        assert reason in page, (name, reason)
    for name in BY_FACTS | MADE_ANEW:
        assert f"`{name}`" in page or (name.startswith("map_") and "`map_*`" in page), name
