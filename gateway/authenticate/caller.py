"""The caller: what authentication tells the rest of the request path."""

from typing import NamedTuple

from creditgate.v1.operator_service_pb2 import ClientRole


class Caller(NamedTuple):
    """One authenticated client.

    ``operator_id`` is "" for roles other than OPERATOR; ``token_scopes`` are those of
    the access token, an upper bound of what it may do; ``token_expires_at`` is in
    seconds, UTC.
    """

    client_id: str
    role: ClientRole.ValueType
    operator_id: str
    token_scopes: frozenset[str]
    token_expires_at: int
