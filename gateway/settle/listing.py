"""Dated things listed page by page, by start of force."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from google.protobuf.message import Message

from creditgate.rating.timeline import Dated
from creditgate.refusal import Violation, invalid
from gateway.settle.paging import Filters, id_of, page_token

MOST: Final = 1_000
USUAL: Final = 100
# Plans may be long, and a page is one message.
_MOST_PAGE_BYTES: Final = 2 << 20
# Nothing narrows these listings.
_ALL: Final[Filters] = ("by start of force",)

_Thing = TypeVar("_Thing", bound=Dated)
_Message = TypeVar("_Message", bound=Message)


@dataclass(frozen=True, slots=True)
class Page(Generic[_Message]):
    """A page of a listing; ``next_page_token`` is "" on the last."""

    messages: Sequence[_Message]
    next_page_token: str


def dated_page(
    things: Sequence[_Thing], message: Callable[[_Thing], _Message], size: int, token: str
) -> Page[_Message]:
    """Return the page of ``things`` behind ``token``: ``size`` of them, 0 for the usual number.

    Raises Refused INVALID_REQUEST.
    """
    after = id_of(token, _ALL)
    places = {thing.id: place for place, thing in enumerate(things, 1)}
    faults: list[Violation] = []
    if not 0 <= size <= MOST:
        faults.append(Violation("page_size", f"use 1 to {MOST}, or 0 for {USUAL}"))
    if after is None or (after and after not in places):
        mend = "use the next_page_token of an earlier page of the same listing"
        faults.append(Violation("page_token", mend))
    if faults:
        raise invalid(*faults)
    rest = things[places[after] if after else 0 :]
    messages: list[_Message] = []
    length = 0
    for thing in rest[: size or USUAL]:
        messages.append(message(thing))
        length += messages[-1].ByteSize()
        if length > _MOST_PAGE_BYTES:
            break
    more = len(messages) < len(rest)
    last = rest[len(messages) - 1].id if more else ""
    return Page(messages, page_token(last, _ALL) if more else "")
