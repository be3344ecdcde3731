"""Every clause of the specifications is on the page, with a test that exists or a reason."""

import ast
import re
from collections.abc import Mapping
from functools import cache
from typing import Final, NamedTuple

import pytest

from tests.docs.clauses import CLAUSES
from tests.docs.pages import DOCS, ROOT

PAGE: Final = (DOCS / "security" / "fapi2.md").read_text(encoding="utf-8")
_TABLE: Final = re.compile(r"^## (?P<title>.+?)\n(?P<body>.*?)(?=^## |\Z)", re.M | re.S)
_ROW: Final = re.compile(r"^\| (?!Clause \||---)(.+) \|$", re.MULTILINE)
_TEST: Final = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
_EXEMPT: Final = "not applicable: "
_LEAST_REASON: Final = 20


class Row(NamedTuple):
    """One line of a table."""

    clause: str
    requirement: str
    how: str
    shown: str


def rows_of(page: str) -> dict[str, list[Row]]:
    """Return the rows of each table by the title above it."""
    tables = {
        table["title"]: [
            Row(*(cell.strip() for cell in row.split("|"))) for row in _ROW.findall(table["body"])
        ]
        for table in _TABLE.finditer(page)
    }
    return {title: rows for title, rows in tables.items() if rows}


@cache
def names_in(file: str) -> frozenset[str]:
    """Return the test functions of a file."""
    path = ROOT / file
    if not path.exists():
        return frozenset()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    )


def fault_of(row: Row) -> str | None:
    """Return what is wrong with a row; None when it is shown or has a reason."""
    if not row.requirement:
        return "states no requirement"
    if row.shown.startswith(_EXEMPT):
        reason = row.shown.removeprefix(_EXEMPT)
        return None if len(reason) >= _LEAST_REASON else "gives no reason"
    named = _TEST.findall(row.shown)
    if not named or _TEST.sub("", row.shown).strip():
        return "names neither tests alone nor a reason"
    missing = [name for file, name in named if name not in names_in(file)]
    return f"names tests that do not exist: {missing}" if missing else None


TABLES: Final[Mapping[str, list[Row]]] = rows_of(PAGE)


def test_the_page_has_a_table_for_each_specification_and_no_other() -> None:
    assert list(TABLES) == list(CLAUSES)


@pytest.mark.parametrize("title", CLAUSES)
def test_every_clause_is_listed_once_and_in_order(title: str) -> None:
    assert [row.clause for row in TABLES[title]] == list(CLAUSES[title])


@pytest.mark.parametrize("title", CLAUSES)
def test_every_clause_has_a_test_that_exists_or_a_reason(title: str) -> None:
    faults = {row.clause: fault for row in TABLES[title] if (fault := fault_of(row)) is not None}
    assert not faults


@pytest.mark.parametrize(
    "shown",
    [
        "",
        "?",
        "not applicable: no",
        "tests/docs/test_fapi2.py::test_a_row_without_proof_is_seen",
        "`tests/docs/test_fapi2.py::test_that_is_not_there`",
        "`tests/docs/no_such_file.py::test_a_row_without_proof_is_seen`",
        "`tests/docs/test_fapi2.py::test_a_row_without_proof_is_seen` and more",
    ],
)
def test_a_row_without_proof_is_seen(shown: str) -> None:
    assert fault_of(Row("1", "something", "somehow", shown)) is not None


def test_a_row_with_proof_passes() -> None:
    here = "`tests/docs/test_fapi2.py::test_a_row_with_proof_passes`"
    assert fault_of(Row("1", "something", "", f"{here} {here}")) is None


def test_lines_of_a_page_are_read_as_rows() -> None:
    page = "# P\n\n## A\n\n| Clause | R | H | S |\n| --- | --- | --- | --- |\n| 1 (2) | r | | s |\n"
    assert rows_of(page) == {"A": [Row("1 (2)", "r", "", "s")]}
