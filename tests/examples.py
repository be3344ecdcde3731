"""How many examples a property is tried with: some in each run, all in the long one."""

from typing import Any, Final

import pytest
from hypothesis import settings

THOROUGH: Final = "thorough"
"""The profile of the long run (`make soak`), in which every property takes its part."""
_SHARE: Final = 4


def examples(most: int) -> int:
    """Return how many examples to try where the long run tries ``most``: a quarter in others."""
    return most if settings.get_current_profile_name() == THOROUGH else most // _SHARE


def seeds(most: int, always: int = 1) -> list[Any]:
    """Return the seeds of a test of random cases: the first in each run, all in the long one."""
    long = [pytest.param(seed, marks=pytest.mark.soak) for seed in range(always, most)]
    return [*range(always), *long]


rarely_on_postgresql: Final = pytest.mark.on_postgresql("rarely")
"""Asks a test, or all of a module, on SQLite in each run and on PostgreSQL in the long one: what is
made of statements that other tests make on both in each run."""
always_on_postgresql: Final = pytest.mark.on_postgresql("always")
"""Asks a test of such a module on both in each run: for statements that no other makes, or what the
store itself decides."""
rarely_on_sqlite: Final = pytest.mark.on_postgresql("mostly")
"""Asks a test the other way round: of several that are alike, each kind of store has some."""
_RARE: Final = {
    rarely_on_postgresql.args: ("postgresql", "postgres_stores"),
    rarely_on_sqlite.args: ("sqlite", "sqlite_stores"),
}


def is_rare(item: pytest.Item) -> bool:
    """Tell whether this case of a test is of the long run alone, because of its store."""
    mark = item.get_closest_marker(rarely_on_postgresql.name)
    case: Any = getattr(item, "callspec", None)
    if case is None or mark is None:
        return False
    return any(value in _RARE.get(mark.args, ()) for value in case.params.values())
