"""A registered client as Authlib sees it (RFC 6749 section 2), at one instant.

Built anew for each request from one snapshot of authority, so that everything the
request decides rests on the same state.
"""

import json
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from authlib.oauth2.rfc6749 import ClientMixin
from joserfc.jwk import KeySet, KeySetSerialization

from creditgate.v1.operator_service_pb2 import ClientRole, OperatorState
from gateway.oauth.keys import SigningKeyBook
from gateway.oauth.revocations import RevocationBook
from operators.authority import Authority
from operators.model import Client

GRANT_TYPES: Final = ("client_credentials",)
"""Grant types the token endpoint serves."""

AUTHENTICATION_METHODS: Final = ("private_key_jwt",)
"""Ways of authentication that exist here; a client uses the one it is registered for."""


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

    ``granted`` are the scopes granted at this instant; ``operator_state`` is None for
    roles that act for no operator; ``presented`` is the thumbprint of the certificate
    it authenticated with, None before that.
    """

    record: Client
    operator_state: int | None
    granted: frozenset[str]
    signing_keys: SigningKeyBook
    presented: str | None = None

    def authenticated_with(self, thumbprint: str) -> "RegisteredClient":
        """Return the client, authenticated over the certificate of that thumbprint."""
        return replace(self, presented=thumbprint)

    @property
    def may_act(self) -> bool:
        """Whether the operator behind it, if any, is active."""
        return self.operator_state in (None, OperatorState.OPERATOR_STATE_ACTIVE)

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

        RFC 6749 section 3.3: without the parameter the default is all that is granted.
        """
        asked = frozenset((scope or "").split()) or self.granted
        if not asked or not asked <= self.granted:
            return None
        return " ".join(sorted(asked))

    def check_grant_type(self, grant_type: str) -> bool:
        """Tell whether the client may use ``grant_type``."""
        return grant_type in self.record.grant_types

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Tell whether the client may authenticate by ``method``; the same everywhere."""
        del endpoint
        return method == self.record.authentication


def registered_client(
    snapshot: AuthoritySnapshot, client_id: Any, now: int
) -> RegisteredClient | None:
    """Return the client of that id at ``now``; None when there is none or it was removed."""
    authority = snapshot.authority
    record = authority.clients.get(client_id) if isinstance(client_id, str) else None
    if record is None or record.removed_at is not None:
        return None
    operator = authority.operators.get(record.operator_id)
    if operator is None and record.role == ClientRole.CLIENT_ROLE_OPERATOR:
        return None
    return RegisteredClient(
        record,
        None if operator is None else operator.state,
        frozenset(
            grant.scope
            for grant in authority.grants_of.get(record.grantee, ())
            if grant.in_force(now)
        ),
        snapshot.signing_keys,
    )
