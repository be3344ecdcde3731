"""A migration that adds a column to a table whose rows are logged has them logged anew, or the column is
none of what is logged: else every row of before would look changed."""

import ast
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from gateway import storage
from gateway.selfcheck.kept import KEPT

_FOLDER = Path(storage.__file__).parent / "migrations"
_FILES = sorted(
    path for schema in ("evidence", "records") for path in (_FOLDER / schema).rglob("0*.py")
)
_SINCE = {"evidence": "0021", "records": "0026"}
"""The revisions up to which tables came to be logged, some of them later than their columns."""


def _added(path: Path) -> Iterator[tuple[str, str]]:
    """Yield table and name of the columns that a migration's upgrade adds."""
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    (upgrade,) = (
        node
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name == "upgrade"
    )
    for node in ast.walk(upgrade):
        match node:
            case ast.Call(
                func=ast.Attribute(attr="add_column"),
                args=[table, ast.Call(args=[column, *_])],
            ):
                yield _said(module, table), _said(module, column)
            case _:
                pass


def _said(module: object, node: ast.expr) -> str:
    """Return a name that is written out, or that a constant of the module has."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    return str(getattr(module, ast.unparse(node), ast.unparse(node)))


@pytest.mark.parametrize("path", _FILES, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_rows_logged_before_a_column_came_are_logged_again_or_without_it(path: Path) -> None:
    if path.stem[:4] <= _SINCE[path.parts[-3]]:
        return
    bare = [
        (table, column)
        for table, column in _added(path)
        if table in KEPT and column not in KEPT[table].omitted
    ]
    assert not bare or "_writes" in path.read_text()


def test_columns_of_migrations_are_read() -> None:
    added = {each for path in _FILES for each in _added(path)}
    assert {("settlement_closings", "known_notes"), ("credit_notes", "proven")} <= added
