"""RegionService: which other regions may ask here, and how each stands."""

from collections.abc import Callable
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import TypeAdapter, ValidationError

from creditgate.refusal import Refused, Violation
from creditgate.v1 import region_service_pb2 as pb
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.administration.desk import Desk
from gateway.administration.journal import Judge, ViewFeed, draft
from gateway.administration.listing import page_by_id
from gateway.administration.presence import conflict, exists, missing, standing_operator
from gateway.administration.request import reason_faults, require
from gateway.authenticate.caller import Caller
from gateway.authority.view import AuthorityView
from gateway.clock import Clock
from gateway.settle.classes import ClassBook
from operators.authority import Authority
from operators.log import AuthorityLog, Draft
from operators.regions import (
    REGION_ADMISSION,
    REGION_CLASS,
    EntityId,
    KnownRegion,
    RegionAdmission,
    region_client_id,
)

_ENTITY_ID: Final = TypeAdapter[str](EntityId)

RegionStands = Callable[[str], object]
"""Asked with a region's client id: raises Refused, REGION_NOT_TRUSTED where it does not stand,
FEDERATION_UNKNOWN where that cannot be known."""


class RegionService(Desk):
    """Every method of creditgate.v1.RegionService.

    ``stands`` tells how regions stand, None for a gateway in no federation. The methods take the request and the authenticated caller,
    whose scope was checked, and raise Refused.
    """

    def __init__(
        self, log: AuthorityLog, feed: ViewFeed, clock: Clock, stands: RegionStands | None
    ) -> None:
        super().__init__(log, feed, clock)
        self._stands = stands

    async def admit_region(
        self, request: pb.AdmitRegionRequest, caller: Caller
    ) -> pb.AdmitRegionResponse:
        """Answer AdmitRegion.

        A region need not be known yet: it may ask once its chain is. Raises Refused
        INVALID_REQUEST; RESOURCE_NOT_FOUND for the operator; STATE_CONFLICT for one that was
        revoked, is or ever was of another class, or stands for another region; RESOURCE_EXISTS for a
        region that is admitted already.
        """
        outcome = await self._change(request, admitting(request), caller)
        response = pb.AdmitRegionResponse(proposal_id=outcome.proposal_id)
        if outcome.changes:
            response.region.CopyFrom(self._message(region_client_id(request.entity_id)))
        return response

    async def list_regions(
        self, request: pb.ListRegionsRequest, caller: Caller
    ) -> pb.ListRegionsResponse:
        """Answer ListRegions; raises Refused INVALID_REQUEST."""
        del caller  # administrators see every region
        regions = self._feed.current().authority.regions
        page, token = page_by_id(
            regions.known.keys() | regions.admissions.keys(),
            self._message,
            page_size=request.page_size,
            token=request.page_token,
            filters=("regions",),
        )
        return pb.ListRegionsResponse(regions=page, next_page_token=token)

    async def get_region(
        self, request: pb.GetRegionRequest, caller: Caller
    ) -> pb.GetRegionResponse:
        """Answer GetRegion; raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND."""
        del caller  # administrators see every region
        require(_entity_faults(request.entity_id))
        return pb.GetRegionResponse(region=self._message(region_client_id(request.entity_id)))

    async def dismiss_region(
        self, request: pb.DismissRegionRequest, caller: Caller
    ) -> pb.DismissRegionResponse:
        """Answer DismissRegion.

        Raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND for a region that is not admitted.
        """
        require(_entity_faults(request.entity_id) + reason_faults(request.reason))
        client_id = region_client_id(request.entity_id)

        def judge(view: AuthorityView, now: int) -> list[Draft]:
            admission = view.authority.regions.admission(client_id)
            if admission is None:
                raise missing("No region of this entity_id is admitted; ListRegions lists them.")
            dismissed = admission.model_copy(update={"dismissed_at": now})
            return [draft(REGION_ADMISSION, client_id, dismissed)]

        await self._write(judge, caller, request.reason)
        return pb.DismissRegionResponse(region=self._message(client_id))

    def _message(self, client_id: str) -> pb.Region:
        """Return a region as the contract has it. Raises Refused RESOURCE_NOT_FOUND."""
        regions = self._feed.current().authority.regions
        known, admission = regions.known.get(client_id), regions.admissions.get(client_id)
        if known is None and admission is None:
            raise missing("No region of this entity_id is known or admitted.")
        message = pb.Region(client_id=client_id, standing=self._standing(client_id))
        if known is not None:
            _describe(message, known)
        if admission is not None:
            message.entity_id = admission.entity_id
            message.etag = str(admission.version)
            if admission.dismissed_at is None:
                message.operator_id = admission.operator_id
                message.admit_time.seconds = admission.admitted_at
        return message

    def _standing(self, client_id: str) -> pb.RegionStanding.ValueType:
        if self._stands is None:
            return pb.RegionStanding.REGION_STANDING_NO_FEDERATION
        try:
            self._stands(client_id)
        except Refused as refused:
            if refused.reason == RefusalReason.REFUSAL_REASON_REGION_NOT_TRUSTED:
                return pb.RegionStanding.REGION_STANDING_DOES_NOT_STAND
            return pb.RegionStanding.REGION_STANDING_UNKNOWN
        return pb.RegionStanding.REGION_STANDING_STANDS


def admitting(request: pb.AdmitRegionRequest) -> Judge:
    """Return the judge of an AdmitRegion request; raises Refused INVALID_REQUEST."""
    require(_entity_faults(request.entity_id) + reason_faults(request.reason))
    client_id = region_client_id(request.entity_id)

    def judge(view: AuthorityView, now: int) -> list[Draft]:
        authority = view.authority
        operator = standing_operator(authority, request.operator_id)
        if operator.operator_class != REGION_CLASS:
            raise conflict(f'A region is admitted as an operator of class "{REGION_CLASS}".')
        _require_never_else(view.classes, request.operator_id)
        if authority.regions.admission(client_id) is not None:
            raise exists("The region is admitted already; dismiss it first to admit it otherwise.")
        _require_free(authority, request.operator_id)
        before = authority.regions.admissions.get(client_id)
        admission = RegionAdmission(
            version=0 if before is None else before.version,
            client_id=client_id,
            entity_id=request.entity_id,
            operator_id=request.operator_id,
            admitted_at=now,
        )
        return [draft(REGION_ADMISSION, client_id, admission)]

    return judge


def _require_free(authority: Authority, operator_id: str) -> None:
    # What a region owes and is owed is one operator's account.
    if any(
        admission.operator_id == operator_id and admission.dismissed_at is None
        for admission in authority.regions.admissions.values()
    ):
        raise conflict("Another region is admitted as this operator; give each its own.")


def _require_never_else(classes: ClassBook, operator_id: str) -> None:
    # Rebates of what it used as a firm would be taken back: a region has none.
    was = classes.operators[operator_id].values
    if any(standing.operator_class != REGION_CLASS for standing in was):
        raise conflict(
            "The operator was of another class before; register one for the region, of class"
            f' "{REGION_CLASS}" from its registration on.'
        )


def _entity_faults(entity_id: str) -> list[Violation]:
    try:
        _ENTITY_ID.validate_python(entity_id)
    except ValidationError:
        mend = "use the region's entity identifier: an https URL of at most 255 characters"
        return [Violation("entity_id", mend)]
    return []


def _describe(message: pb.Region, known: KnownRegion) -> None:
    message.entity_id = known.entity_id
    message.codes.extend(known.codes)
    message.grpc.extend(known.grpc)
    message.certificate_thumbprints.extend(sorted(known.certificate_thumbprints))
    message.expire_time.CopyFrom(Timestamp(seconds=known.stands_until))
    for purpose, key in sorted(known.log_keys.items()):
        message.log_keys.add(purpose=purpose, verifier_key=key)
    message.catalogue_version = known.catalogue_version
