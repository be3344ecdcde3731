"""Who serves begins each transaction that writes by `gateway.storage.bounded`: on PostgreSQL it holds its
locks for no longer than that lets it, should its process hang."""

import ast
from collections.abc import Iterator
from typing import Final

from tests.quality.project import ROOT, project_files

# What docs/scale.md ("When a process hangs") leaves without bounds, and who does not serve.
UNBOUNDED: Final = {
    "gateway/alerts/watcher.py",
    "gateway/audit/fact_writer.py",
    "gateway/audit/writer.py",
    "gateway/cli/log_life.py",
    "gateway/demo/federation_clearing.py",
    "gateway/exports/follower.py",
    "gateway/server/keeping.py",
    "gateway/settlement/credit_store.py",
    "gateway/settlement/rated_past.py",
    "gateway/settlement/store.py",
    "gateway/storage/bounded.py",
    "gateway/transparency/beginning.py",
    "gateway/transparency/identity.py",
    "gateway/transparency/succeeding.py",
    "gateway/transparency/writer.py",
    "gateway/usage/duties.py",
    "gateway/usage/writer.py",
}


def begun(source: str) -> Iterator[int]:
    """Yield the lines where ``source`` has an engine begin a transaction in a ``with``."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.withitem(context_expr=ast.Call(func=ast.Attribute(attr="begin")) as call):
                yield call.lineno
            case _:
                pass


def test_a_transaction_that_is_begun_without_bounds_is_seen() -> None:
    assert list(begun("with held, self._engine.begin() as connection:\n    pass")) == [1]
    assert not list(begun("with bounded(self._engine) as connection:\n    pass"))


def test_only_what_is_left_without_bounds_begins_a_transaction_otherwise() -> None:
    found = {
        str(path.relative_to(ROOT))
        for path in project_files(".py")
        if path.is_relative_to(ROOT / "gateway") and list(begun(path.read_text(encoding="utf-8")))
    }
    assert found == UNBOUNDED
