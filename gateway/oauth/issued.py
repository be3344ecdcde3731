"""Access tokens of this server as its own endpoints read them: by the gateway's rules."""

from dataclasses import dataclass

from authlib.oauth2.rfc6749 import ClientMixin

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.claims import CERTIFICATE, Confirmation, TokenClaims
from gateway.authenticate.reader import TokenReader
from gateway.authenticate.token import ancestors_stand, revocable_names
from gateway.oauth.client import RegisteredClient
from gateway.oauth.context import AuthorizationContext
from operators.persons import scopes_within


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """An access token this server made, its life not over."""

    claims: TokenClaims

    def check_client(self, client: ClientMixin) -> bool:
        """Tell whether ``client`` is the one it was issued to."""
        return self.claims.client_id == client.get_client_id()


class IssuedTokens:
    """Reads access tokens; from any thread."""

    def __init__(self, context: AuthorizationContext) -> None:
        self._context = context
        self._reader = TokenReader(context.endpoints.issuer, context.audience)

    def read(self, token: str) -> IssuedToken | None:
        """Return what ``token`` says, revoked or not; None when it is not ours or over.

        Raises Refused AUTHORITY_UNKNOWN.
        """
        now = self._context.clock.now()
        try:
            claims = self._reader.read(token, now, self._context.authority().signing_keys).claims
        except Refused as refused:
            if refused.reason != RefusalReason.REFUSAL_REASON_TOKEN_INVALID:
                raise
            return None
        return None if now >= claims.exp else IssuedToken(claims)

    def scopes_in_force(self, token: IssuedToken) -> frozenset[str]:
        """Return the scopes that ``token`` still opens: none when it was revoked.

        What was granted to the client may have been withdrawn, the client removed or
        its operator suspended since (duties alone are left then), or a client it was
        exchanged from removed. Raises Refused AUTHORITY_UNKNOWN.
        """
        claims = token.claims
        client = self._context.client(claims.client_id)
        view = self._context.authority()
        if client is None or not still_holds(client, claims.cnf.confirmation, claims.client_key):
            return frozenset()
        if not ancestors_stand(claims.ancestors, view.authority):
            return frozenset()
        if not view.revocations.allows(revocable_names(claims)):
            return frozenset()
        scopes = frozenset(claims.scope.split()) & client.open_scopes
        return scopes_within(view.authority, claims.sub, scopes)

    def granted_now(self, client_id: str, principal: str, scopes: frozenset[str]) -> frozenset[str]:
        """Return those of ``scopes`` that a grant of ``principal`` still gives the client."""
        client = self._context.client(client_id)
        if client is None or not client.may_act:
            return frozenset()
        authority = self._context.authority().authority
        return scopes_within(authority, principal, scopes & client.granted)


def still_holds(client: RegisteredClient, confirmation: Confirmation, client_key: str) -> bool:
    """Tell whether what a token is bound to, and was got by, still counts for its client.

    Certificates must be registered; keys of proofs are registered nowhere.
    """
    method, thumbprint = confirmation
    if not client.record.has_key(client_key):
        return False
    if method == CERTIFICATE:
        return thumbprint in client.record.certificate_thumbprints
    return client.record.binding == "dpop"
