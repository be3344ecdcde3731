"""A registered client as Authlib sees it (RFC 6749 section 2), at one instant.

Built anew for each request from one snapshot of authority, so that everything the
request decides rests on the same state.
"""

import json
import re
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from authlib.oauth2.rfc6749 import ClientMixin
from joserfc.jwk import KeySet, KeySetSerialization

from creditgate.scopes import known_scopes
from creditgate.v1.operator_service_pb2 import ClientRole, OperatorState
from gateway.oauth.keys import SigningKeyBook
from gateway.oauth.revocations import RevocationBook
from operators.authority import Authority
from operators.authorization_details import AuthorizationDetail
from operators.duties import DUTY_SCOPES
from operators.model import TOKEN_EXCHANGE, Client, GrantType
from operators.openings import open_names

_LOOPBACK: Final = re.compile(r"\A(http://(?:127\.0\.0\.1|\[::1\])):[1-9][0-9]{0,4}(?=[/?]|\Z)")

GRANT_TYPES: Final[tuple[GrantType, ...]] = (
    "client_credentials",
    "authorization_code",
    "refresh_token",
    TOKEN_EXCHANGE,
)
"""Grant types the token endpoint serves."""

AUTHENTICATION_METHODS: Final = ("private_key_jwt", "tls_client_auth")
"""Ways of authentication that exist here; a client uses the one it is registered for."""


GRANT_QUERY: Final = "grant_management_query"
GRANT_REVOKE: Final = "grant_management_revoke"
"""What clients of operators may always ask for: to read and to end their own grants."""


class AuthoritySnapshot(Protocol):
    """What the authorisation server needs of the authority view."""

    @property
    def authority(self) -> Authority:
        """Operators, clients and grants."""
        ...

    @property
    def signing_keys(self) -> SigningKeyBook:
        """The standing signing keys."""
        ...

    @property
    def revocations(self) -> RevocationBook:
        """The tokens and grants that were revoked."""
        ...


@dataclass(frozen=True, slots=True)
class RegisteredClient(ClientMixin):
    """A client that is not removed.

    ``granted`` are the scopes it may name at this instant; ``operator_state`` is None for
    roles that act for no operator; ``authenticated`` is the thumbprint of the key or
    certificate it authenticated by, ``presented`` that of the certificate its connection
    shows, ``proven`` that of the key it proved to hold (RFC 9449), each None before that;
    ``details`` are those its next token is to carry.
    """

    record: Client
    operator_state: int | None
    granted: frozenset[str]
    signing_keys: SigningKeyBook
    authenticated: str | None = None
    presented: str | None = None
    proven: str | None = None
    details: tuple[AuthorizationDetail, ...] = ()

    def authenticated_by(self, thumbprint: str) -> "RegisteredClient":
        """Return the client, authenticated by its key or certificate of that thumbprint."""
        return replace(self, authenticated=thumbprint)

    def showing(self, thumbprint: str) -> "RegisteredClient":
        """Return the client on a connection that shows its certificate of that thumbprint."""
        return replace(self, presented=thumbprint)

    def proven_with(self, thumbprint: str) -> "RegisteredClient":
        """Return the client, having proved that it holds the key of that thumbprint."""
        return replace(self, proven=thumbprint)

    def limited_to(self, details: tuple[AuthorizationDetail, ...]) -> "RegisteredClient":
        """Return the client, its next token limited to ``details`` (RFC 9396), if any."""
        return replace(self, details=details)

    @property
    def may_act(self) -> bool:
        """Whether the operator behind it, if any, is active."""
        return self.operator_state in (None, OperatorState.OPERATOR_STATE_ACTIVE)

    @property
    def open_scopes(self) -> frozenset[str]:
        """The granted scopes that its tokens open: those of duties alone (`operators.duties`)
        while its operator may not act."""
        return self.granted if self.may_act else self.granted & DUTY_SCOPES

    @property
    def keys(self) -> KeySet:
        """The public keys it signs assertions with."""
        jwks: KeySetSerialization = json.loads(self.record.jwks)
        return KeySet.import_key_set(jwks)

    def get_client_id(self) -> str:
        """Return the client_id."""
        return self.record.client_id

    # Authlib's caller checks for None; its stub knows neither None nor the missing parameter.
    def get_allowed_scope(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, scope: str | None
    ) -> str | None:
        """Return the scope to issue, or None when ``scope`` asks for more than granted.

        RFC 6749 section 3.3: without the parameter the default is all that is granted, by
        the names of methods' scopes: managed ones would only repeat it.
        """
        asked = frozenset((scope or "").split()) or self.open_scopes & known_scopes()
        if not asked or not asked <= self.open_scopes:
            return None
        return " ".join(sorted(asked))

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Tell whether a browser may be sent back there: registered, character by character.

        RFC 8252 section 7.3: the server MUST allow any port of a loopback address, which a
        program on the person's machine learns only when it starts.
        """
        wanted = _LOOPBACK.sub(r"\1", redirect_uri)
        return any(wanted == _LOOPBACK.sub(r"\1", uri) for uri in self.record.redirect_uris)

    def check_response_type(self, response_type: str) -> bool:
        """Tell whether the client may ask for it: there is one, code."""
        return response_type == "code" and self.check_grant_type("authorization_code")

    def check_grant_type(self, grant_type: str) -> bool:
        """Tell whether the client may use ``grant_type``."""
        return grant_type in self.record.grant_types

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Tell whether the client may authenticate by ``method``; the same everywhere."""
        del endpoint
        return method == self.record.authentication


def _own_scopes(record: Client) -> frozenset[str]:
    """Return the scopes that a client has without their being granted."""
    if record.role == ClientRole.CLIENT_ROLE_OPERATOR:
        return frozenset({GRANT_QUERY, GRANT_REVOKE})
    return frozenset()


def registered_client(
    snapshot: AuthoritySnapshot, client_id: Any, now: int
) -> RegisteredClient | None:
    """Return the client of that id at ``now``; None when there is none or it was removed."""
    authority = snapshot.authority
    record = authority.clients.get(client_id) if isinstance(client_id, str) else None
    if record is None or record.removed_at is not None:
        return None
    operator = authority.operators.get(record.operator_id)
    if operator is None and record.acts_for_operator:
        return None
    return RegisteredClient(
        record,
        None if operator is None else operator.state,
        open_names(authority, record.grantee, now) | _own_scopes(record),
        snapshot.signing_keys,
    )
