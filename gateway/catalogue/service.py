"""CatalogueService, the part of all: shows the catalogue."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from bisect import bisect_right
from typing import Final, Protocol

from creditgate.refusal import Refused, Violation, invalid
from creditgate.v1 import catalogue_service_pb2 as pb
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from gateway.catalogue.message import item_message
from gateway.catalogue.model import CatalogueBook
from operators import shapes

MOST_ITEMS: Final = 200
USUAL_ITEMS: Final = 50
MOST_REASON: Final = 500
# Items can be large, and a page is one message.
_MOST_PAGE_BYTES: Final = 2 << 20


class CatalogueView(Protocol):
    """What is needed of a view of authority."""

    @property
    def catalogue(self) -> CatalogueBook:
        """Every catalogue item."""
        ...


class CatalogueFeed(Protocol):
    """What is needed of the authority feed."""

    def current(self) -> CatalogueView:
        """Return the view; raises Refused AUTHORITY_UNKNOWN when it is too old."""
        ...


class CatalogueService:
    """Lists and gets catalogue items."""

    def __init__(self, feed: CatalogueFeed) -> None:
        self._feed = feed

    async def list_catalogue_items(
        self, request: pb.ListCatalogueItemsRequest, caller: Caller
    ) -> pb.ListCatalogueItemsResponse:
        """Answer ListCatalogueItems; raises Refused INVALID_REQUEST."""
        del caller  # the catalogue is the same for all
        after = _code_of(request.page_token)
        faults: list[Violation] = []
        if not 0 <= request.page_size <= MOST_ITEMS:
            faults.append(Violation("page_size", f"use 1 to {MOST_ITEMS}, or 0 for {USUAL_ITEMS}"))
        if after is None:
            faults.append(Violation("page_token", "use the next_page_token of an earlier page"))
        if faults or after is None:
            raise invalid(*faults)
        return _page(self._feed.current().catalogue, after, request.page_size or USUAL_ITEMS)

    async def get_catalogue_item(
        self, request: pb.GetCatalogueItemRequest, caller: Caller
    ) -> pb.GetCatalogueItemResponse:
        """Answer GetCatalogueItem; raises Refused RESOURCE_NOT_FOUND."""
        del caller  # the catalogue is the same for all
        item = self._feed.current().catalogue.get(request.code)
        if item is None:
            raise _unknown_item()
        return pb.GetCatalogueItemResponse(item=item_message(item))


def _page(catalogue: CatalogueBook, after: str, most: int) -> pb.ListCatalogueItemsResponse:
    codes = sorted(catalogue)
    first = bisect_right(codes, after)
    page = pb.ListCatalogueItemsResponse()
    size = 0
    for code in codes[first : first + most]:
        message = item_message(catalogue[code])
        size += message.ByteSize()
        if page.items and size > _MOST_PAGE_BYTES:
            break
        page.items.append(message)
    if first + len(page.items) < len(codes):
        page.next_page_token = urlsafe_b64encode(page.items[-1].code.encode()).decode()
    return page


def _code_of(token: str) -> str | None:
    """Return the code a page ended at, "" before the first page, None for no token of ours."""
    if not token:
        return ""
    try:
        return shapes.item_code(urlsafe_b64decode(token).decode("ascii"))
    except (Error, ValueError):
        return None


def _unknown_item() -> Refused:
    return Refused(
        RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND,
        "No catalogue item has this code; ListCatalogueItems lists them.",
    )
