"""Listings: pages by id, and as much as one message holds."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final, TypeVar

from google.protobuf.message import Message

from creditgate.refusal import Refused, Violation
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.administration.request import require
from gateway.settle.paging import Filters, id_of, page_token, position_of

MOST_LISTED: Final = 200
_USUAL: Final = 50
# Things can be large, and a page is one message.
_MOST_PAGE_BYTES: Final = 2 << 20
# What a gRPC client takes in one message unless told otherwise is 4 MiB.
_MOST_ANSWER_BYTES: Final = 4_000_000

_Listed = TypeVar("_Listed", bound=Message)


def page_by_id(
    things: Iterable[str],
    message_of: Callable[[str], _Listed],
    *,
    page_size: int,
    token: str,
    filters: Filters,
) -> tuple[list[_Listed], str]:
    """Return a page of the things with these ids, in order, and the token of the next.

    Raises Refused INVALID_REQUEST.
    """
    after = id_of(token, filters)
    most = _most_of(page_size, is_token=after is not None)
    ids = sorted(things)
    first = bisect_right(ids, after or "")
    page = list(_fitting(map(message_of, ids[first : first + most]), _MOST_PAGE_BYTES))
    end = first + len(page)
    return page, page_token(ids[end - 1], filters) if end < len(ids) else ""


def page_ask(page_size: int, token: str, filters: Filters) -> tuple[int, int]:
    """Return (position after which the page starts, most it holds).

    Raises Refused INVALID_REQUEST.
    """
    after = position_of(token, filters)
    return after or 0, _most_of(page_size, is_token=after is not None)


def page_of(listed: Iterable[_Listed], most: int) -> list[_Listed]:
    """Return the first of ``listed`` that make a page: at least one where there is one."""
    return list(islice(_fitting(listed, _MOST_PAGE_BYTES), most))


def whole(listed: Iterable[_Listed]) -> list[_Listed]:
    """Return a listing that has no pages; raises Refused ANSWER_TOO_LARGE."""
    messages = list(listed)
    if sum(message.ByteSize() for message in messages) > _MOST_ANSWER_BYTES:
        raise Refused(
            RefusalReason.REFUSAL_REASON_ANSWER_TOO_LARGE,
            "The listing is too large for one message; ListAuthorityChanges shows it in pages.",
        )
    return messages


def _most_of(page_size: int, *, is_token: bool) -> int:
    faults: list[Violation] = []
    if not 0 <= page_size <= MOST_LISTED:
        faults.append(Violation("page_size", f"use 1 to {MOST_LISTED}, or 0 for {_USUAL}"))
    if not is_token:
        faults.append(
            Violation(
                "page_token", "use the next_page_token of an earlier page of the same request"
            )
        )
    require(faults)
    return page_size or _USUAL


def _fitting(messages: Iterable[_Listed], most_bytes: int) -> Iterator[_Listed]:
    size = 0
    for message in messages:
        first = size == 0
        size += message.ByteSize()
        if size > most_bytes and not first:
            return
        yield message
