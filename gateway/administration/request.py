"""Requests checked: from proto messages to what the authority log keeps, faults by field."""

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from pydantic import ValidationError

from creditgate.refusal import Violation, invalid
from creditgate.v1 import operator_service_pb2 as pb
from creditgate.v1 import registration_service_pb2 as registration_pb
from creditgate.v1.operator_service_pb2 import OperatorState
from creditgate.v1.vocabulary_pb2 import Interval
from gateway.catalogue.faults import Where, faults_of, path_of
from gateway.note import note_faults
from operators.kept import Kept
from operators.model import Client, Licence, Operator, ScopeGrant
from operators.registration import SoftwareStatement

_MOST_REASON: Final = 500
_STATEMENT_SECONDS: Final = 86_400
_MOST_STATEMENT_SECONDS: Final = 7 * 86_400
_MOST_AT_ONCE: Final = 64
_MOST_VIOLATIONS: Final = 100
# Fields that the contract names otherwise than the log; "" stands for the whole thing.
_PERIOD: Final[Mapping[str, Where]] = {
    "valid_from": ("validity", "start_time"),
    "valid_until": ("validity", "end_time"),
    "": ("validity",),
}
_CLIENT: Final[Mapping[str, Where]] = {"": ("operator_id",)}
# What can be wrong with one of these as a whole is how many it holds.
_COUNTS: Final[Mapping[Where, str]] = {
    ("items",): "name 1 to 1000 catalogue items",
    ("purposes",): "name at least one purpose",
    ("regions",): "name 1 to 1000 regions",
    ("certificate_thumbprints",): "give 1 to 8 thumbprints",
    ("redirect_uris",): "give at most 16 redirect URIs",
}

_Thing = TypeVar("_Thing", bound=Kept)


def require(faults: Sequence[Violation]) -> None:
    """Raise Refused INVALID_REQUEST when there are ``faults``."""
    if faults:
        raise invalid(*faults[:_MOST_VIOLATIONS])


def reason_faults(reason: str) -> list[Violation]:
    """Return what is wrong with the reason of a change."""
    return note_faults("reason", reason, _MOST_REASON)


def etag_faults(field: str, etag: str) -> list[Violation]:
    """Return what is wrong with the etag of a change that needs one (AIP-154)."""
    return [] if etag else [Violation(field, "required: the etag of the version you read")]


def count_faults(field: str, count: int) -> list[Violation]:
    """Return what is wrong with the number of things one request changes."""
    if 1 <= count <= _MOST_AT_ONCE:
        return []
    return [Violation(field, f"name 1 to {_MOST_AT_ONCE}")]


def operator_of(message: pb.Operator, faults: Sequence[Violation]) -> Operator:
    """Return the operator a request brings, active and not stored yet.

    Raises Refused INVALID_REQUEST with ``faults`` of the rest of the request and its own.
    """
    operator, own = checked(
        Operator,
        {
            "operator_id": message.operator_id,
            "display_name": message.display_name,
            "uscc": message.uscc,
            "operator_class": message.operator_class,
            "state": OperatorState.OPERATOR_STATE_ACTIVE,
        },
        ("operator",),
    )
    return required(operator, [*faults, *own])


def licence_of(message: pb.Licence, faults: Sequence[Violation]) -> Licence:
    """Return the licence a request brings, not stored yet; raises as `operator_of`."""
    at = ("licence",)
    licence, own = checked(
        Licence,
        {
            "number": message.number,
            "operator_id": message.operator_id,
            "items": tuple(message.items),
            "purposes": tuple(message.purposes),
            "regions": tuple(message.regions),
            "daily_record_quota": message.daily_record_quota,
            **_period(message.validity),
        },
        at,
        _PERIOD,
    )
    return required(licence, [*faults, *_fractions(message.validity, at), *own])


def client_of(message: pb.Client, faults: Sequence[Violation]) -> Client:
    """Return the client a request brings, not stored yet; raises as `operator_of`."""
    client, own = checked(
        Client,
        {
            "client_id": message.client_id,
            "role": message.role,
            "operator_id": message.operator_id,
            "jwks": message.jwks,
            "certificate_thumbprints": tuple(message.certificate_thumbprints),
            "redirect_uris": tuple(message.redirect_uris),
            "signed_requests": message.signed_requests,
            # What the contract may leave out; the model says what stands instead.
            **{
                name: value
                for name, value in (
                    ("authentication", message.authentication),
                    ("binding", message.binding),
                    ("grant_types", tuple(message.grant_types)),
                )
                if value
            },
        },
        ("client",),
        _CLIENT,
    )
    return required(client, [*faults, *own])


def rotated_client(client: Client, request: pb.RotateClientKeysRequest) -> Client:
    """Return ``client`` with the keys and certificates of ``request`` instead of its own.

    Raises Refused INVALID_REQUEST.
    """
    rotated, own = checked(
        Client,
        {
            **client.model_dump(),
            "jwks": request.jwks,
            "certificate_thumbprints": tuple(request.certificate_thumbprints),
        },
        (),
    )
    return required(rotated, own)


def statement_of(
    request: registration_pb.IssueSoftwareStatementRequest,
    statement_id: str,
    faults: Sequence[Violation],
) -> SoftwareStatement:
    """Return the statement a request asks for, as if issued at 0; raises as `operator_of`."""
    found = list(faults)
    if not 0 <= request.life_seconds <= _MOST_STATEMENT_SECONDS:
        found.append(Violation("life_seconds", f"use 1 to {_MOST_STATEMENT_SECONDS} seconds, or 0"))
    statement, own = checked(
        SoftwareStatement,
        {
            "statement_id": statement_id,
            "operator_id": request.operator_id,
            "licence": request.licence_number,
            "software_id": request.software_id,
            "issued_at": 0,
            "expires_at": max(0, request.life_seconds) or _STATEMENT_SECONDS,
        },
        (),
        {"licence": ("licence_number",)},
    )
    return required(statement, [*found, *own])


def grants_of(
    messages: Sequence[pb.ScopeGrant], grant_ids: Sequence[str], faults: Sequence[Violation]
) -> list[ScopeGrant]:
    """Return the grants a request brings under ``grant_ids``; raises as `operator_of`."""
    grants: list[ScopeGrant] = []
    found = list(faults)
    for index, (message, grant_id) in enumerate(zip(messages, grant_ids, strict=True)):
        at = ("grants", index)
        grant, own = checked(
            ScopeGrant,
            {
                "grant_id": grant_id,
                "grantee": message.grantee,
                "scope": message.scope,
                "items": tuple(message.items),
                "purposes": tuple(message.purposes),
                "regions": tuple(message.regions),
                # An Interval without a start stands since always.
                "valid_from": 0,
                **_period(message.validity),
            },
            at,
            _PERIOD,
        )
        found += [*_fractions(message.validity, at), *own]
        if grant is not None:
            grants.append(grant)
    require(found)
    return grants


def grant_ids_of(request: pb.WithdrawScopesRequest) -> list[str]:
    """Return the ids of the grants to withdraw; raises Refused INVALID_REQUEST."""
    grant_ids = list(request.grant_ids)
    faults = reason_faults(request.reason) + count_faults("grant_ids", len(grant_ids))
    seen: set[str] = set()
    for index, grant_id in enumerate(grant_ids):
        if grant_id in seen:
            faults.append(Violation(f"grant_ids[{index}]", "name each grant once"))
        seen.add(grant_id)
    require(faults)
    return grant_ids


def required(thing: _Thing | None, faults: Sequence[Violation]) -> _Thing:
    """Return ``thing``; raises Refused INVALID_REQUEST where there are ``faults`` or it is None."""
    if faults or thing is None:
        raise invalid(*faults[:_MOST_VIOLATIONS])
    return thing


def checked(
    model: type[_Thing],
    fields: Mapping[str, object],
    at: Where,
    names: Mapping[str, Where] | None = None,
) -> tuple[_Thing | None, list[Violation]]:
    """Return the thing, or None and what is wrong with its fields, which lie at ``at``."""
    try:
        return model.model_validate(fields), []
    except ValidationError as error:
        return None, [
            Violation(
                path_of((*at, *_renamed(fault.where, names or {}))),
                _COUNTS.get(fault.where, fault.mend),
            )
            for fault in faults_of(error)
        ]


def _renamed(where: Where, names: Mapping[str, Where]) -> Where:
    first = str(where[0]) if where else ""
    return (*names[first], *where[1:]) if first in names else where


def _period(validity: Interval) -> dict[str, object]:
    period: dict[str, object] = {}
    if validity.HasField("start_time"):
        period["valid_from"] = validity.start_time.seconds
    if validity.HasField("end_time"):
        period["valid_until"] = validity.end_time.seconds
    return period


def _fractions(validity: Interval, at: Where) -> list[Violation]:
    ends = {"start_time": validity.start_time.nanos, "end_time": validity.end_time.nanos}
    return [
        Violation(path_of((*at, "validity", name)), "use whole seconds")
        for name, nanos in ends.items()
        if nanos
    ]
