"""Steps of a trace, in one order over all sources, and pages of them."""

import re
from collections.abc import Callable, Iterable, Iterator
from enum import IntEnum
from heapq import merge
from typing import Final, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1 import audit_service_pb2 as pb
from gateway.settle.paging import Filters, id_of, page_token

_PLACE: Final = re.compile(r"(\d{1,12})-(\d)-(\d{1,45})-(\d{1,45})")
_MOST_PAGE_BYTES: Final = 2 << 20


class Kind(IntEnum):
    """Of what happens in one second, what is told first."""

    AUTHORITY = 1
    DISCLOSURE = 2
    DECISION = 3
    FINDING = 4
    REMOVAL = 5


class Place(NamedTuple):
    """Where a step stands: ``at`` in seconds UTC, and within it by kind and number."""

    at: int = 0
    kind: int = 0
    major: int = 0
    minor: int = 0

    def __str__(self) -> str:
        """Return the place as a token holds it."""
        return "-".join(map(str, self))


class Step(NamedTuple):
    """One step; ``what`` is a message of it, or the index of a decision in the log."""

    place: Place
    what: pb.TraceStep | int


class Page(NamedTuple):
    """Steps in order; ``more`` tells whether others follow."""

    steps: list[Step]
    more: bool


class Asked(NamedTuple):
    """Which steps are asked for: those after a place, within [from_, until) (seconds UTC)."""

    after: Place
    from_: int
    until: int
    page_size: int
    filters: Filters
    known_tree_size: int

    def token(self, page: Page) -> str:
        """Return the token of the page after ``page``, "" where none follows."""
        return page_token(str(page.steps[-1].place), self.filters) if page.more else ""


Source = Callable[[Place, int], Iterable[Step]]
"""Gives the steps after a place and before an instant (seconds UTC), in order."""


def place_of(token: str, filters: Filters) -> Place | None:
    """Return the place a page token stands for, None unless it was made for ``filters``."""
    text = id_of(token, filters)
    if not text:
        return None if text is None else Place()
    match = _PLACE.fullmatch(text)
    return None if match is None else Place(*map(int, match.groups()))


def page_of(asked: Asked, *sources: Source) -> Page:
    """Return the next page of all sources together."""
    after = max(asked.after, Place(asked.from_))
    found = merge(*(source(after, asked.until) for source in sources), key=_place)
    page: list[Step] = []
    size = 0
    for step in found:
        if len(page) == asked.page_size or size > _MOST_PAGE_BYTES:
            return Page(page, True)
        page.append(step)
        size += 1_024 if isinstance(step.what, int) else step.what.ByteSize()
    return Page(page, False)


def messages_of(
    page: Page, decisions: Callable[[list[int]], list[pb.LoggedDecision]]
) -> Iterator[pb.TraceStep]:
    """Yield the messages of a page; ``decisions`` gives those of the log by their indexes."""
    indexes = [step.what for step in page.steps if isinstance(step.what, int)]
    logged = iter(decisions(indexes))
    for step in page.steps:
        if isinstance(step.what, int):
            yield pb.TraceStep(step_time=Timestamp(seconds=step.place.at), decision=next(logged))
        else:
            step.what.step_time.seconds = step.place.at
            yield step.what


def _place(step: Step) -> Place:
    return step.place
