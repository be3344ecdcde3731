"""A catalogue file applied to a gateway: what is new is created, what differs updated."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from creditgate.v1 import catalogue_service_pb2 as pb
from gateway.catalogue.faults import where_of
from gateway.catalogue.file import CatalogueFile, CatalogueFileRefused, FileFault
from gateway.catalogue.message import item_message
from gateway.cli.calls import Gateway
from gateway.cli.failures import CommandFailed
from gateway.cli.output import several

if TYPE_CHECKING:
    from sdk.refusals import Refusal

_Request = pb.CreateCatalogueItemRequest | pb.UpdateCatalogueItemRequest
_ITEM: Final = "item"
_OF_AN_ITEM: Final = frozenset(
    {"ETAG_MISMATCH", "RESOURCE_EXISTS", "RESOURCE_NOT_FOUND", "STATE_CONFLICT"}
)


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
    gateway: Gateway, file: CatalogueFile, reason: str
) -> tuple[Applied, ...]:
    """Bring the gateway's items to those of a file, in its order, once it refuses none of them.

    Items the file leaves out stay as they are, since records may be disclosed under them.
    Raises CatalogueFileRefused with all that the gateway refuses of the file, CommandFailed
    where something came in between, grpc.RpcError; in the last two cases what was applied
    before stays, and a second run goes on.
    """
    import grpc

    from sdk.refusals import explain

    listed = await gateway.every_page(
        pb.ListCatalogueItemsRequest(page_size=200), pb.ListCatalogueItemsResponse
    )
    known = {item.code: item for item in listed.items}
    wanted = [_request(item_message(item), known.get(item.code), reason) for item in file.items]
    await _validate(gateway, file, wanted)
    applied: list[Applied] = []
    for index, request in enumerate(wanted):
        try:
            applied.append(
                Applied(Outcome.UNCHANGED, known[file.items[index].code])
                if request is None
                else await _apply(gateway, request)
            )
        except grpc.RpcError as error:
            faults = _faults(file, index, explain(error))
            if not faults:
                raise
            done = [each.item.code for each in applied if each.outcome != Outcome.UNCHANGED]
            raise CommandFailed(
                f"{'; '.join(map(str, faults))}. It came in between. Applied before it:"
                f" {several(done) or 'nothing'}; apply the file again to go on."
            ) from None
    return tuple(applied)


def _request(
    item: pb.CatalogueItem, known: pb.CatalogueItem | None, reason: str
) -> _Request | None:
    """Return what brings an item to that of the file, None where nothing has to be done."""
    if known is None:
        return pb.CreateCatalogueItemRequest(item=item, reason=reason)
    item.etag = known.etag
    item.update_time.CopyFrom(known.update_time)
    return None if item == known else pb.UpdateCatalogueItemRequest(item=item, reason=reason)


async def _validate(
    gateway: Gateway, file: CatalogueFile, wanted: Sequence[_Request | None]
) -> None:
    """Raise CatalogueFileRefused with what the gateway would refuse; it does nothing yet."""
    import grpc

    from sdk.refusals import explain

    faults: list[FileFault] = []
    for index, request in enumerate(wanted):
        if request is None:
            continue
        asked = deepcopy(request)
        asked.validate_only = True
        try:
            await _ask(gateway, asked)
        except grpc.RpcError as error:
            found = _faults(file, index, explain(error))
            if not found:
                raise
            faults += found
    if faults:
        raise CatalogueFileRefused(faults)


def _faults(file: CatalogueFile, index: int, refusal: "Refusal") -> list[FileFault]:
    """Return what a refusal says about the item at ``index``; nothing where it is about the
    caller or the call."""
    code = file.items[index].code
    faults = [
        file.fault(index, where[1:], f"{violation.description} (item {code})")
        for violation in refusal.violations
        if (where := where_of(violation.field))[:1] == (_ITEM,)
    ]
    if not faults and refusal.reason in _OF_AN_ITEM:
        return [file.fault(index, (), f"{refusal.reason}: {refusal.message} (item {code})")]
    return faults


async def _apply(gateway: Gateway, request: _Request) -> Applied:
    answer = await _ask(gateway, request)
    if answer.proposal_id:
        return Applied(Outcome.PROPOSED, request.item, answer.proposal_id)
    new = isinstance(request, pb.CreateCatalogueItemRequest)
    return Applied(Outcome.CREATED if new else Outcome.UPDATED, answer.item)


async def _ask(
    gateway: Gateway, request: _Request
) -> pb.CreateCatalogueItemResponse | pb.UpdateCatalogueItemResponse:
    if isinstance(request, pb.CreateCatalogueItemRequest):
        return await gateway.ask(request, pb.CreateCatalogueItemResponse)
    return await gateway.ask(request, pb.UpdateCatalogueItemResponse)
