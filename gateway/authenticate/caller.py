"""The caller: what authentication tells the rest of the request path."""

from typing import NamedTuple, Protocol

from creditgate.v1.operator_service_pb2 import ClientRole
from operators.authorization_details import AuthorizationDetail


class Footing(Protocol):
    """What a call rests on besides this gateway's own authority."""

    def require(self) -> None:
        """Raise Refused unless all of it stands now, and that is known."""
        ...

    def stands(self) -> bool:
        """Tell whether all of it stands now, and that is known; any thread."""
        ...


class Caller(NamedTuple):
    """One authenticated client.

    ``operator_id`` is "" for roles other than OPERATOR; ``token_scopes`` are those of
    the access token, an upper bound of what it may do; ``token_expires_at`` is in
    seconds, UTC. ``principal`` is who acts (the token's ``sub``): the client itself or
    a person, who signed in at ``auth_time`` (seconds, UTC) as strongly as ``acr`` says.
    ``details`` (RFC 9396), where there are any, narrow what the scopes allow.
    ``grant_id`` is the OAuth grant the token comes from, "" without one; ``revocable``
    names all that a revocation may stop it by (`gateway.oauth.revocations.revocable`).
    ``footing`` is what a call of another region rests on there, None for all other calls.
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
    footing: Footing | None = None

    @property
    def retrier(self) -> str:
        """Whose retries are the same call: the client's, and of a region's those for one
        licence of one of its operators."""
        return self.client_id if self.footing is None else f"{self.client_id} {self.principal}"

    @property
    def asker(self) -> str:
        """Who shares what is shared out between those who ask: all clients of one operator
        together, others each for itself."""
        return self.operator_id or self.client_id
