"""Small things of the authority log, with defaults that a test changes one by one."""

from collections.abc import Iterable
from functools import cache
from typing import Any, Final

from creditgate.uscc import check_character
from creditgate.v1.operator_service_pb2 import ClientRole, OperatorState
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.pki.client_keys import make_assertion_key
from operators.authority import Authority
from operators.log import Change, Draft
from operators.model import (
    CLIENT,
    LICENCE,
    OPERATOR,
    SCOPE_GRANT,
    Client,
    Licence,
    Operator,
    ScopeGrant,
)
from operators.scope_definition import SCOPE_DEFINITION, ScopeDefinition

READ: Final = "credit.records:read"
CREDIT: Final = Purpose.PURPOSE_CREDIT_APPROVAL
Thing = Operator | Licence | Client | ScopeGrant | ScopeDefinition
_STEM: Final = "91000000MA0000001"


def operator(**changed: Any) -> Operator:
    """Return an active operator, "alpha"."""
    fields = {
        "operator_id": "alpha",
        "display_name": "Alpha Invented Credit",
        "uscc": _STEM + check_character(_STEM),
        "state": OperatorState.OPERATOR_STATE_ACTIVE,
    }
    return Operator.model_validate({**fields, **changed})


def licence(**changed: Any) -> Licence:
    """Return a licence of alpha for item "penalty", everywhere, for [0, 1000)."""
    fields: dict[str, object] = {
        "number": "L-1",
        "operator_id": "alpha",
        "valid_from": 0,
        "valid_until": 1000,
        "items": {"penalty"},
        "purposes": {CREDIT},
        "regions": {"*"},
        "daily_record_quota": 100,
    }
    return Licence.model_validate({**fields, **changed})


@cache
def public_keys() -> str:
    """Return a public JWK Set."""
    return make_assertion_key().jwks


def client(**changed: Any) -> Client:
    """Return a client of alpha, "alpha-one"."""
    fields: dict[str, object] = {
        "client_id": "alpha-one",
        "role": ClientRole.CLIENT_ROLE_OPERATOR,
        "operator_id": "alpha",
        "jwks": public_keys(),
        "certificate_thumbprints": {"A" * 43},
    }
    return Client.model_validate({**fields, **changed})


def grant(**changed: Any) -> ScopeGrant:
    """Return a grant of the records scope to alpha, from 0 on."""
    fields: dict[str, object] = {
        "grant_id": "G-1",
        "grantee": "alpha",
        "scope": READ,
        "valid_from": 0,
    }
    return ScopeGrant.model_validate({**fields, **changed})


def definition(**changed: Any) -> ScopeDefinition:
    """Return a managed scope, "credit.narrow:read", that stands for the records scope."""
    fields: dict[str, object] = {
        "name": "credit.narrow:read",
        "scopes": {READ},
        "title_zh": "测试范围",
        "title_en": "Test scope",
    }
    return ScopeDefinition.model_validate({**fields, **changed})


def named(thing: Thing) -> tuple[str, str]:
    """Return kind and id of a thing in the log."""
    match thing:
        case Operator():
            return OPERATOR, thing.operator_id
        case Licence():
            return LICENCE, thing.number
        case Client():
            return CLIENT, thing.client_id
        case ScopeGrant():
            return SCOPE_GRANT, thing.grant_id
        case ScopeDefinition():
            return SCOPE_DEFINITION, thing.name


def draft(thing: Thing, expected_version: int = 0) -> Draft:
    """Return the draft that writes a thing."""
    return Draft(*named(thing), expected_version, thing.as_document())


def changes_of(things: Iterable[Thing], first: int = 1) -> tuple[Change, ...]:
    """Return the changes that write the things, in order, from sequence ``first`` on."""
    return tuple(
        Change(sequence, *named(thing), 1, thing.as_document(), "office", 5, "test")
        for sequence, thing in enumerate(things, first)
    )


def authority_of(*things: Thing) -> Authority:
    """Return the authority that the things make."""
    return Authority.empty().advanced(changes_of(things))
