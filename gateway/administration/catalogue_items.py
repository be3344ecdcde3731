"""CatalogueService, the part of administrators: items are created and changed (目录管理)."""

from copy import deepcopy

from creditgate.refusal import Violation, invalid
from creditgate.v1 import catalogue_service_pb2 as pb
from gateway.administration.desk import Desk, Outcome
from gateway.administration.journal import Judge, draft, stored
from gateway.administration.presence import exists, missing, require_etag
from gateway.administration.request import reason_faults, require
from gateway.authenticate.caller import Caller
from gateway.authority.view import AuthorityView
from gateway.catalogue.message import item_message, item_of
from gateway.catalogue.model import CATALOGUE_ITEM, CatalogueItem
from gateway.settle.priced import item_fault
from operators.log import Draft


class CatalogueItems(Desk):
    """The methods of creditgate.v1.CatalogueService that change the catalogue."""

    async def create_catalogue_item(
        self, request: pb.CreateCatalogueItemRequest, caller: Caller
    ) -> pb.CreateCatalogueItemResponse:
        """Answer CreateCatalogueItem; raises Refused INVALID_REQUEST, RESOURCE_EXISTS."""
        outcome = await self._decided(request, creating_item(request), caller)
        response = pb.CreateCatalogueItemResponse(proposal_id=outcome.proposal_id)
        for change in outcome.changes:
            response.item.CopyFrom(item_message(stored(CatalogueItem, change)))
        return response

    async def update_catalogue_item(
        self, request: pb.UpdateCatalogueItemRequest, caller: Caller
    ) -> pb.UpdateCatalogueItemResponse:
        """Answer UpdateCatalogueItem.

        Raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND, ETAG_MISMATCH.
        """
        outcome = await self._decided(request, updating_item(request), caller)
        response = pb.UpdateCatalogueItemResponse(proposal_id=outcome.proposal_id)
        for change in outcome.changes:
            response.item.CopyFrom(item_message(stored(CatalogueItem, change)))
        return response

    async def _decided(
        self,
        request: pb.CreateCatalogueItemRequest | pb.UpdateCatalogueItemRequest,
        judge: Judge,
        caller: Caller,
    ) -> Outcome:
        if not request.validate_only:
            return await self._change(request, judge, caller)
        asked = deepcopy(request)
        # What it might become is the proposal of the request that does something.
        asked.ClearField("validate_only")
        return await self._validate(asked, judge, caller)


def creating_item(request: pb.CreateCatalogueItemRequest) -> Judge:
    """Return the judge of a CreateCatalogueItem request; raises Refused INVALID_REQUEST."""
    require(reason_faults(request.reason))
    item = item_of(request.item)

    def judge(view: AuthorityView, now: int) -> list[Draft]:
        if item.code in view.catalogue:
            raise exists("A catalogue item has this code already; UpdateCatalogueItem changes it.")
        _require_priced(item, view, now)
        return [draft(CATALOGUE_ITEM, item.code, item)]

    return judge


def updating_item(request: pb.UpdateCatalogueItemRequest) -> Judge:
    """Return the judge of an UpdateCatalogueItem request; raises Refused INVALID_REQUEST."""
    faults = reason_faults(request.reason)
    if not request.item.etag:
        faults.append(Violation("item.etag", "required: the etag of the version you read"))
    require(faults)
    item = item_of(request.item)

    def judge(view: AuthorityView, now: int) -> list[Draft]:
        present = view.catalogue.get(item.code)
        if present is None:
            raise missing("No catalogue item has this code; ListCatalogueItems lists them.")
        require_etag(present, request.item.etag)
        if item.price_class != present.price_class:
            _require_priced(item, view, now)
        return [
            draft(CATALOGUE_ITEM, item.code, item.model_copy(update={"version": present.version}))
        ]

    return judge


def _require_priced(item: CatalogueItem, view: AuthorityView, now: int) -> None:
    fault = item_fault(item.code, item.price_class, view.classes, view.prices, now)
    if fault:
        raise invalid(Violation("item.price_class", fault))
