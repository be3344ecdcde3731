"""Keys by the page: as many as one statement may name."""

from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

_KEYS_A_QUERY: Final = 500
_Key = TypeVar("_Key", int, str)


def pages(keys: Iterable[_Key]) -> Iterator[list[_Key]]:
    """Yield keys in order, as many at once as a query takes."""
    ordered = sorted(keys)
    for start in range(0, len(ordered), _KEYS_A_QUERY):
        yield ordered[start : start + _KEYS_A_QUERY]
