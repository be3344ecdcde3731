"""Whose usage a caller may see: an operator its own, an administrator any operator's."""

from creditgate.refusal import Refused, Violation, invalid
from creditgate.v1.operator_service_pb2 import ClientRole
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from operators.authority import Authority


def operator_asked(operator_id: str, caller: Caller, authority: Authority) -> str:
    """Return whose usage is asked for, "" meaning the caller's own.

    Raises Refused: SCOPE_NOT_GRANTED for what the caller may not see, INVALID_REQUEST where an
    administrator names nobody, RESOURCE_NOT_FOUND.
    """
    if caller.operator_id:
        if operator_id not in {"", caller.operator_id}:
            raise Refused(
                RefusalReason.REFUSAL_REASON_SCOPE_NOT_GRANTED,
                "An operator sees only its own usage: leave operator_id empty.",
            )
        return caller.operator_id
    if caller.role != ClientRole.CLIENT_ROLE_ADMINISTRATOR:
        raise Refused(
            RefusalReason.REFUSAL_REASON_SCOPE_NOT_GRANTED,
            "Usage is shown to operators and administrators only.",
        )
    if not operator_id:
        raise invalid(Violation("operator_id", "name the operator: an administrator has no own"))
    if operator_id not in authority.operators:
        raise Refused(
            RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND,
            "No operator has this operator_id; ListOperators lists them.",
        )
    return operator_id
