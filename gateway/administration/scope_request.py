"""Requests about managed scopes checked: from proto messages to what the authority log keeps."""

from collections.abc import Sequence

from creditgate.refusal import Violation
from creditgate.v1 import scope_service_pb2 as pb
from gateway.administration.request import checked, required
from gateway.catalogue.faults import path_of
from operators.model import ScopeGrant
from operators.scope_definition import ScopeDefinition, unfit_fields


def definition_of(message: pb.ScopeDefinition, faults: Sequence[Violation]) -> ScopeDefinition:
    """Return the managed scope a request brings, not stored yet; raises as `request.operator_of`."""
    definition, own = checked(
        ScopeDefinition,
        {
            "name": message.name,
            "scopes": tuple(message.scopes),
            "items": tuple(message.items),
            "purposes": tuple(message.purposes),
            "regions": tuple(message.regions),
            "longest_validity_days": message.longest_validity_days or None,
            "title_zh": message.title_zh,
            "title_en": message.title_en,
            "description_zh": message.description_zh,
            "description_en": message.description_en,
        },
        ("definition",),
    )
    if definition is not None:
        own = [
            Violation(path_of(("definition", field)), mend)
            for field, mend in unfit_fields(definition).items()
        ]
    return required(definition, [*faults, *own])


def narrowed_grant(grant: ScopeGrant, request: pb.NarrowScopeGrantRequest) -> ScopeGrant:
    """Return ``grant`` with the bounds of ``request`` instead of its own, where it names some.

    Raises Refused INVALID_REQUEST; whether they are narrower is not looked at.
    """
    bounds: dict[str, object] = {
        name: tuple(getattr(request, name))
        for name in ("items", "purposes", "regions")
        if getattr(request, name)
    }
    faults: list[Violation] = []
    if request.HasField("end_time"):
        bounds["valid_until"] = request.end_time.seconds
        if request.end_time.nanos:
            faults.append(Violation("end_time", "use whole seconds"))
    narrowed, own = checked(
        ScopeGrant,
        {**grant.model_dump(), **bounds},
        (),
        {"valid_until": ("end_time",), "": ("end_time",)},
    )
    return required(narrowed, [*faults, *own])
