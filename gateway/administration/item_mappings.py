"""ItemMappingService: what stands for what in another region's catalogue (目录映射)."""

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.refusal import Violation, invalid
from creditgate.v1 import item_mapping_service_pb2 as pb
from gateway.administration.desk import Desk
from gateway.administration.journal import Judge, draft, stored
from gateway.administration.presence import missing
from gateway.administration.request import checked, reason_faults, require
from gateway.authenticate.caller import Caller
from gateway.authority.view import AuthorityView
from operators.item_mappings import ITEM_MAPPING, ItemMapping
from operators.log import Draft


class ItemMappingService(Desk):
    """Every method of creditgate.v1.ItemMappingService."""

    async def set_item_mapping(
        self, request: pb.SetItemMappingRequest, caller: Caller
    ) -> pb.SetItemMappingResponse:
        """Answer SetItemMapping.

        Raises Refused INVALID_REQUEST; RESOURCE_NOT_FOUND for an item that this gateway's
        catalogue lacks; ETAG_MISMATCH where ``version`` is not that of the mapping in force.
        """
        outcome = await self._change(request, setting_mapping(request), caller)
        response = pb.SetItemMappingResponse(proposal_id=outcome.proposal_id)
        for change in outcome.changes:
            response.mapping.CopyFrom(mapping_message(stored(ItemMapping, change)))
        return response

    async def list_item_mappings(
        self, request: pb.ListItemMappingsRequest, caller: Caller
    ) -> pb.ListItemMappingsResponse:
        """Answer ListItemMappings."""
        del request, caller  # administrators see every mapping
        by_region = self._feed.current().authority.item_mappings.by_region
        return pb.ListItemMappingsResponse(
            mappings=[mapping_message(by_region[region]) for region in sorted(by_region)]
        )


def setting_mapping(request: pb.SetItemMappingRequest) -> Judge:
    """Return the judge of a SetItemMapping request; raises Refused INVALID_REQUEST."""
    wanted = _wanted(request)

    def judge(view: AuthorityView, now: int) -> list[Draft]:
        del now
        if any(view.catalogue.get(item) is None for item in wanted.items):
            raise missing("An item is not in this gateway's catalogue; create it first.")
        return [draft(ITEM_MAPPING, wanted.id, wanted)]

    return judge


def mapping_message(mapping: ItemMapping) -> pb.ItemMapping:
    """Return a mapping as the contract has it."""
    return pb.ItemMapping(
        region=mapping.region,
        items=[
            pb.MappedItem(item=here, region_item=there)
            for here, there in sorted(mapping.items.items())
        ],
        catalogue_version=mapping.catalogue_version,
        version=mapping.version,
        update_time=Timestamp(seconds=mapping.changed_at),
    )


def _wanted(request: pb.SetItemMappingRequest) -> ItemMapping:
    message = request.mapping
    items = {pair.item: pair.region_item for pair in message.items}
    faults = reason_faults(request.reason)
    if len(items) != len(message.items):
        faults.append(Violation("mapping.items", "name each item once"))
    if message.version < 0:
        faults.append(Violation("mapping.version", "the version it replaces, 0 for none"))
    mapping, own = checked(
        ItemMapping,
        {
            "region": message.region,
            "items": items,
            "catalogue_version": message.catalogue_version,
        },
        ("mapping",),
    )
    require([*faults, *own])
    if mapping is None:
        raise invalid(Violation("mapping", "it cannot be read"))
    return mapping.model_copy(update={"version": message.version})
