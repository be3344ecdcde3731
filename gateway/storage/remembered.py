"""What was read once and never changes, remembered by its key."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Remembered(Generic[Key, Value]):
    """Values by their keys, as far as asked for lately: about ``most``; any thread."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[Key, Value] = {}

    def of(
        self, keys: Collection[Key], read: Callable[[set[Key]], Iterable[tuple[Key, Value]]]
    ) -> Mapping[Key, Value]:
        """Return the values of the keys asked for, and of others; ``read`` gives those unknown.

        A key for which it gives none is left out. Raises what ``read`` raises.
        """
        known = self._known
        if not (unknown := set(keys).difference(known)):
            return known
        if len(known) + len(unknown) > self._most:
            # Whoever was given the old one still uses it.
            known, unknown = {}, set(keys)
        known.update(read(unknown))
        self._known = known
        return known
