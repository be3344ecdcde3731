"""A catalogue file applied to a gateway: what is new is created, what differs updated."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from creditgate.v1 import catalogue_service_pb2 as pb
from gateway.catalogue.message import item_message
from gateway.catalogue.model import CatalogueItem
from gateway.cli.calls import Gateway


class Outcome(StrEnum):
    """What became of an item of the file."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    PROPOSED = "proposed"


@dataclass(frozen=True, slots=True)
class Applied:
    """An item as it now stands, or shall stand once ``proposal_id`` is approved, and what it
    took."""

    outcome: Outcome
    item: pb.CatalogueItem
    proposal_id: str = ""


async def apply_catalogue(
    gateway: Gateway, items: Iterable[CatalogueItem], reason: str
) -> tuple[Applied, ...]:
    """Bring the gateway's items to those of a file, in its order.

    Items the file leaves out stay as they are, since records may be disclosed under them.
    Raises grpc.RpcError; what was applied before then stays, and a second run goes on.
    """
    listed = await gateway.every_page(
        pb.ListCatalogueItemsRequest(page_size=200), pb.ListCatalogueItemsResponse
    )
    known = {item.code: item for item in listed.items}
    return tuple(
        [await _apply(gateway, item_message(item), known.get(item.code), reason) for item in items]
    )


async def _apply(
    gateway: Gateway, item: pb.CatalogueItem, known: pb.CatalogueItem | None, reason: str
) -> Applied:
    if known is None:
        created = await gateway.ask(
            pb.CreateCatalogueItemRequest(item=item, reason=reason), pb.CreateCatalogueItemResponse
        )
        if created.proposal_id:
            return Applied(Outcome.PROPOSED, item, created.proposal_id)
        return Applied(Outcome.CREATED, created.item)
    item.etag = known.etag
    item.update_time.CopyFrom(known.update_time)
    if item == known:
        return Applied(Outcome.UNCHANGED, known)
    updated = await gateway.ask(
        pb.UpdateCatalogueItemRequest(item=item, reason=reason), pb.UpdateCatalogueItemResponse
    )
    if updated.proposal_id:
        return Applied(Outcome.PROPOSED, item, updated.proposal_id)
    return Applied(Outcome.UPDATED, updated.item)
