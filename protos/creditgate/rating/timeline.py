"""Timelines: of the things in force at an instant, the latest to start decides."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar


class Change(Protocol):
    """A version of something, as the authority log has it."""

    @property
    def kind(self) -> str:
        """What it is a version of."""
        ...

    @property
    def id(self) -> str:
        """Its id within the kind."""
        ...

    @property
    def document(self) -> Mapping[str, object]:
        """What it says."""
        ...


class Dated(Protocol):
    """Something put into force: its id, and from when (seconds, UTC)."""

    @property
    def id(self) -> str:
        """Unique id."""
        ...

    @property
    def effective_from(self) -> int:
        """First instant of force."""
        ...


_Thing = TypeVar("_Thing", bound=Dated)


class Timeline(Generic[_Thing]):
    """Dated things in order of start, then id. It never changes."""

    def __init__(self, things: Iterable[_Thing] = ()) -> None:
        self.things = tuple(sorted(things, key=lambda thing: (thing.effective_from, thing.id)))
        self._starts = tuple(thing.effective_from for thing in self.things)
        # One more than the starts, so that a bisection of those is an index of these.
        self._deciding: tuple[_Thing | None, ...] = (None, *self.things)

    def at(self, instant: int) -> _Thing | None:
        """Return what decides at ``instant``: the latest start, among equals the greatest id."""
        return self._deciding[bisect_right(self._starts, instant)]

    def starts_between(self, after: int, until: int) -> tuple[int, ...]:
        """Return the different starts strictly between two instants, in order."""
        within = self._starts[bisect_right(self._starts, after) : bisect_left(self._starts, until)]
        return tuple(dict.fromkeys(within))

    def advanced(
        self,
        changes: Sequence[Change],
        kind: str,
        read: Callable[[Mapping[str, object]], _Thing | None],
    ) -> "Timeline[_Thing]":
        """Return the timeline after ``changes``, itself when none is of ``kind``.

        What ``read`` returns None for is in it no more. Raises what ``read`` raises on a document
        it does not understand.
        """
        newest = {change.id: change.document for change in changes if change.kind == kind}
        if not newest:
            return self
        kept = (thing for thing in self.things if thing.id not in newest)
        read_anew = (read(document) for document in newest.values())
        return Timeline((*kept, *(thing for thing in read_anew if thing is not None)))
