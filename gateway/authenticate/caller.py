"""The caller: what authentication tells the rest of the request path."""

from typing import NamedTuple

from creditgate.v1.operator_service_pb2 import ClientRole
from operators.authorization_details import AuthorizationDetail


class Caller(NamedTuple):
    """One authenticated client.

    ``operator_id`` is "" for roles other than OPERATOR; ``token_scopes`` are those of
    the access token, an upper bound of what it may do; ``token_expires_at`` is in
    seconds, UTC. ``principal`` is who acts (the token's ``sub``): the client itself or
    a person, who signed in at ``auth_time`` (seconds, UTC) as strongly as ``acr`` says.
    ``details`` (RFC 9396), where there are any, narrow what the scopes allow.
    ``grant_id`` is the OAuth grant the token comes from, "" without one; ``revocable``
    names all that a revocation may stop it by (`gateway.oauth.revocations.revocable`).
    """

    client_id: str
    role: ClientRole.ValueType
    operator_id: str
    token_scopes: frozenset[str]
    token_expires_at: int
    principal: str = ""
    details: tuple[AuthorizationDetail, ...] = ()
    grant_id: str = ""
    auth_time: int | None = None
    acr: str = ""
    revocable: frozenset[str] = frozenset()

    @property
    def asker(self) -> str:
        """Who shares what is shared out between those who ask: all clients of one operator
        together, others each for itself."""
        return self.operator_id or self.client_id
