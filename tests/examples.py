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


def rarely_on_postgresql(
    fixture: str, sqlite: str = "sqlite", postgresql: str = "postgresql"
) -> pytest.MarkDecorator:
    """Ask a test on SQLite in each run, and on PostgreSQL in the long one: for whole histories, of
    calls each of which others make on both. ``fixture`` takes the kind of store as its parameter."""
    long = pytest.param(postgresql, marks=pytest.mark.soak)
    return pytest.mark.parametrize(fixture, [sqlite, long], indirect=True)
