"""What must be there, and in which state, before something else may be changed. Pure."""

from creditgate.refusal import Refused
from creditgate.v1.operator_service_pb2 import ClientRole, OperatorState
from creditgate.v1.refusal_pb2 import RefusalReason
from operators.authority import Authority
from operators.kept import Kept
from operators.model import Client, Licence, Operator
from operators.regions import REGION_CLASS


def conflict(message: str) -> Refused:
    """Return the refusal of a change that the present state does not allow."""
    return Refused(RefusalReason.REFUSAL_REASON_STATE_CONFLICT, message)


def missing(message: str) -> Refused:
    """Return the refusal for something named that does not exist."""
    return Refused(RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND, message)


def exists(message: str) -> Refused:
    """Return the refusal for an id that is taken."""
    return Refused(RefusalReason.REFUSAL_REASON_RESOURCE_EXISTS, message)


def present_operator(authority: Authority, operator_id: str) -> Operator:
    """Return an operator; raises Refused RESOURCE_NOT_FOUND."""
    operator = authority.operators.get(operator_id)
    if operator is None:
        raise missing("No operator has this operator_id; ListOperators lists them.")
    return operator


def standing_operator(authority: Authority, operator_id: str) -> Operator:
    """Return an operator that was not revoked; raises Refused.

    RESOURCE_NOT_FOUND, or STATE_CONFLICT for a revoked one: revocation is for good.
    """
    operator = present_operator(authority, operator_id)
    if operator.state == OperatorState.OPERATOR_STATE_REVOKED:
        raise conflict(
            "The operator was revoked for good; a firm that may work again is registered anew,"
            " under another operator_id."
        )
    return operator


def present_licence(authority: Authority, number: str) -> Licence:
    """Return a licence; raises Refused RESOURCE_NOT_FOUND."""
    licence = authority.licences.get(number)
    if licence is None:
        raise missing("No licence has this number; ListLicences lists those of an operator.")
    return licence


def live_client(authority: Authority, client_id: str) -> Client:
    """Return a client that was not removed; raises Refused.

    RESOURCE_NOT_FOUND, or STATE_CONFLICT for a removed one.
    """
    client = authority.clients.get(client_id)
    if client is None:
        raise missing("No client has this client_id; ListClients lists them.")
    if client.removed_at is not None:
        raise conflict("The client was removed; register another under a new client_id.")
    return client


def registered_client(authority: Authority, client_id: str) -> Client:
    """Return a client that stands and was registered here; raises Refused as `live_client`.

    STATE_CONFLICT for a region's: its keys are those of its trust chain.
    """
    client = live_client(authority, client_id)
    if client.role == ClientRole.CLIENT_ROLE_REGION:
        raise conflict(
            "A region's client has the keys of its trust chain; DismissRegion removes it."
        )
    return client


def grantee_role(authority: Authority, grantee: str) -> ClientRole.ValueType | None:
    """Return the role in which ``grantee`` holds scopes, None when there is no such party.

    An operator, in the role of regions where its class is theirs, or a client of another
    role; a client that acts for an operator holds nothing of its own.
    """
    operator = authority.operators.get(grantee)
    if operator is not None:
        of_region = operator.operator_class == REGION_CLASS
        return ClientRole.CLIENT_ROLE_REGION if of_region else ClientRole.CLIENT_ROLE_OPERATOR
    client = authority.clients.get(grantee)
    if client is None or client.acts_for_operator:
        return None
    return client.role


def require_etag(thing: Kept, etag: str) -> None:
    """Raise Refused ETAG_MISMATCH unless ``etag`` is that of the present version (AIP-154)."""
    if etag != str(thing.version):
        raise Refused(
            RefusalReason.REFUSAL_REASON_ETAG_MISMATCH,
            "It was changed since you read it; read it again and repeat.",
        )
