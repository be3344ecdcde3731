"""Approvable methods: those whose requests may become proposals, and how each is judged."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message

from creditgate.scopes import scope_of, services
from creditgate.v1 import administrator_service_pb2 as administrators_pb
from creditgate.v1 import brake_service_pb2 as brakes_pb
from creditgate.v1 import catalogue_service_pb2 as catalogue_pb
from creditgate.v1 import item_mapping_service_pb2 as mappings_pb
from creditgate.v1 import limit_service_pb2 as limits_pb
from creditgate.v1 import operator_service_pb2 as operators_pb
from creditgate.v1 import recognition_service_pb2 as recognition_pb
from creditgate.v1 import region_service_pb2 as regions_pb
from creditgate.v1 import registration_service_pb2 as registration_pb
from creditgate.v1 import scope_service_pb2 as scopes_pb
from gateway.administration.administrators import assigning_roles, registering_administrator
from gateway.administration.brakes import releasing
from gateway.administration.catalogue_items import creating_item, updating_item
from gateway.administration.clients import registering, rotating
from gateway.administration.four_eyes import method_of
from gateway.administration.grants import granting
from gateway.administration.item_mappings import setting_mapping
from gateway.administration.journal import Judge
from gateway.administration.licences import issuing
from gateway.administration.limits import retiring
from gateway.administration.operators import reinstating
from gateway.administration.policy import setting_policy
from gateway.administration.presence import conflict
from gateway.administration.recognition import (
    approving_transfer,
    setting_profile,
    setting_rule,
)
from gateway.administration.regions import admitting
from gateway.administration.scope_definitions import updating_definition
from gateway.administration.statements import attesting
from operators.proposal import Proposal


@dataclass(frozen=True, slots=True)
class Approvable:
    """A method: its request, and what gives the judge of one."""

    request: type[Message]
    judge: Callable[[Any], Judge]

    @property
    def scope(self) -> str:
        """The scope the method needs."""
        (scope,) = {
            scope_of(method)
            for service in services()
            for method in service.methods
            if method.input_type.full_name == self.request.DESCRIPTOR.full_name
        }
        return scope


_ALL: Final = (
    Approvable(administrators_pb.RegisterAdministratorRequest, registering_administrator),
    Approvable(administrators_pb.SetAdministratorRolesRequest, assigning_roles),
    Approvable(brakes_pb.ReleaseBrakeRequest, releasing),
    Approvable(catalogue_pb.CreateCatalogueItemRequest, creating_item),
    Approvable(catalogue_pb.UpdateCatalogueItemRequest, updating_item),
    Approvable(limits_pb.RetireLimitRequest, retiring),
    Approvable(mappings_pb.SetItemMappingRequest, setting_mapping),
    Approvable(operators_pb.GrantScopesRequest, granting),
    Approvable(operators_pb.IssueLicenceRequest, issuing),
    Approvable(operators_pb.RegisterClientRequest, registering),
    Approvable(operators_pb.ReinstateOperatorRequest, reinstating),
    Approvable(operators_pb.RotateClientKeysRequest, rotating),
    Approvable(recognition_pb.ApproveCrossBorderTransferRequest, approving_transfer),
    Approvable(recognition_pb.SetCrossBorderProfileRequest, setting_profile),
    Approvable(recognition_pb.SetRecognitionRuleRequest, setting_rule),
    Approvable(registration_pb.IssueSoftwareStatementRequest, attesting),
    Approvable(regions_pb.AdmitRegionRequest, admitting),
    Approvable(scopes_pb.SetAdministrationPolicyRequest, setting_policy),
    Approvable(scopes_pb.UpdateScopeDefinitionRequest, updating_definition),
)
APPROVABLE: Final[Mapping[str, Approvable]] = {method_of(each.request()): each for each in _ALL}


def judged_anew(proposal: Proposal) -> tuple[Approvable, Judge]:
    """Return the method a proposal was made to, and the judge of its request.

    Raises Refused STATE_CONFLICT where this release does not understand the request.
    """
    approvable = APPROVABLE.get(proposal.method)
    if approvable is None:
        raise conflict("This release knows no such change; propose it anew.")
    try:
        request = ParseDict({**proposal.request, "reason": proposal.reason}, approvable.request())
    except ParseError:
        raise conflict("This release reads the request otherwise; propose it anew.") from None
    return approvable, approvable.judge(request)
