"""RFC 8693: an access token exchanged for one that can do less, or the same, never more.

What a client hands on to another of its operator's clients, or to another region, should
open no more than is needed there. The subject token is one of this server's own, or of a type
that an extension knows (`SubjectExchange`); the actor is the client that asks, and nobody can
name another.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, cast

from authlib.oauth2.rfc6749 import (
    BaseGrant,
    InvalidRequestError,
    InvalidScopeError,
    TokenEndpointMixin,
    UnauthorizedClientError,
)

from gateway.authenticate.claims import MOST_ANCESTORS, Actor, Ancestor, TokenClaims
from gateway.oauth.client import AUTHENTICATION_METHODS, RegisteredClient
from gateway.oauth.context import AuthorizationContext
from gateway.oauth.issued import IssuedToken, IssuedTokens
from gateway.oauth.rfc9396 import PARAMETER, DetailsDesk
from gateway.oauth.server import StarletteAuthorizationServer, require_active
from gateway.oauth.token_subject import TokenSubject
from operators.model import TOKEN_EXCHANGE

ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105  # a type
_TYPES: Final = (ACCESS_TOKEN, "urn:ietf:params:oauth:token-type:jwt")


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a client gets for a subject token: ``scope``, for ``seconds`` at most.

    ``client`` carries the authorization details of the token.
    """

    client: RegisteredClient
    subject: TokenSubject
    scope: str
    seconds: int


SubjectExchange = Callable[[RegisteredClient, Mapping[str, str]], Exchange]
"""Decides what a client gets for a subject token of one type (section 3), given the request;
raises as `ExchangeDesk.decided`. Any thread."""
NO_EXCHANGES: Final[Mapping[str, SubjectExchange]] = MappingProxyType({})


class ExchangeDesk:
    """Decides exchanges; Authlib has it as an extension of the grant.

    ``others`` decide those of subject tokens that are not this server's own, by their type.
    """

    def __init__(
        self,
        context: AuthorizationContext,
        details: DetailsDesk,
        others: Mapping[str, SubjectExchange] = NO_EXCHANGES,
    ) -> None:
        self._context = context
        self._details = details
        self._others = others
        self._tokens = IssuedTokens(context)

    def __call__(self, grant: BaseGrant) -> None:
        """Serve ``grant``, a TokenExchangeGrant."""
        cast(TokenExchangeGrant, grant).desk = self

    def decided(self, client: RegisteredClient, form: Mapping[str, str]) -> Exchange:
        """Return what ``client`` gets for the request ``form``.

        Raises OAuth2Error as section 2.2.2 has it, Refused AUTHORITY_UNKNOWN.
        """
        _require_forms(form, (*_TYPES, *self._others))
        if (other := self._others.get(form["subject_token_type"])) is not None:
            return other(client, form)
        token, held = self._subject(form["subject_token"], client)
        claims = token.claims
        scope = narrowed_scope(form.get("scope"), held & client.granted)
        details = self._details.narrowed(
            client, form.get(PARAMETER), claims.authorization_details or (), scope
        )
        subject = TokenSubject(
            principal=claims.sub,
            auth_time=claims.auth_time,
            acr=claims.acr,
            grant_id=claims.grant_id,
            actor=_actor(client, claims),
            ancestors=(*claims.ancestors, _as_ancestor(claims)),
            until=claims.exp,
            opens=frozenset((claims.opens or "").split()),
        )
        seconds = min(self._context.token_seconds, claims.exp - self._context.clock.now())
        return Exchange(client.limited_to(details), subject, scope, seconds)

    def _subject(self, text: str, client: RegisteredClient) -> tuple[IssuedToken, frozenset[str]]:
        """Return the subject token and the scopes it still opens."""
        token = self._tokens.read(text)
        held = frozenset[str]() if token is None else self._tokens.scopes_in_force(token)
        if token is None or not held or not self._may_take(client, token.claims):
            raise InvalidRequestError(
                "The subject token must be an access token of this server that stands, of the"
                " client itself or a machine token of another client of its operator."
            )
        if len(token.claims.ancestors) >= MOST_ANCESTORS:
            raise InvalidRequestError("The subject token was exchanged too often; begin anew.")
        return token, held

    def _may_take(self, client: RegisteredClient, claims: TokenClaims) -> bool:
        """Tell whether ``client`` may act by this token.

        What a person allowed one client, no other takes; no operator acts for another.
        """
        if claims.client_id == client.record.client_id:
            return True
        holder = self._context.client(claims.client_id)
        of_machine = claims.grant_id is None and claims.auth_time is None
        return (
            of_machine
            and holder is not None
            and bool(client.record.operator_id)
            and holder.record.operator_id == client.record.operator_id
        )


class TokenExchangeGrant(BaseGrant, TokenEndpointMixin):
    """The grant of section 2, for clients registered for it."""

    GRANT_TYPE = TOKEN_EXCHANGE
    TOKEN_ENDPOINT_AUTH_METHODS = AUTHENTICATION_METHODS
    desk: ExchangeDesk
    exchange: Exchange

    def validate_token_request(self) -> None:
        """Authenticate the client and decide what it gets. Raises OAuth2Error."""
        server = cast(StarletteAuthorizationServer, self.server)
        client = server.authenticate_client(self.request, self.TOKEN_ENDPOINT_AUTH_METHODS)
        if not client.check_grant_type(TOKEN_EXCHANGE):
            raise UnauthorizedClientError("The client is not registered for token exchange.")
        require_active(client)
        self.exchange = self.desk.decided(client, self.request.form)

    # The body is an object; the stub says text.
    def create_token_response(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
    ) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """Return status, body (section 2.2.1) and headers."""
        exchange = self.exchange
        self.request.client = exchange.client
        token = self.generate_token(
            user=exchange.subject,
            scope=exchange.scope,
            expires_in=exchange.seconds,
            include_refresh_token=False,
        )
        body = {**token, "issued_token_type": ACCESS_TOKEN}
        return 200, body, list(self.TOKEN_RESPONSE_HEADER)


def _require_forms(form: Mapping[str, str], types: Sequence[str]) -> None:
    if "subject_token" not in form:
        raise InvalidRequestError("The parameter subject_token is missing.")
    if form.get("subject_token_type") not in types:
        raise InvalidRequestError(f"subject_token_type must be {' or '.join(types)}.")
    if form.get("requested_token_type", ACCESS_TOKEN) not in _TYPES:
        raise InvalidRequestError(f"requested_token_type must be {' or '.join(_TYPES)}.")
    if "actor_token" in form or "actor_token_type" in form:
        raise InvalidRequestError(
            "The client that asks is the actor; leave actor_token and actor_token_type out."
        )


def narrowed_scope(asked: str | None, held: frozenset[str]) -> str:
    """Return the scope to issue: what is asked for, without that all that is ``held``.

    Raises InvalidScopeError for anything beyond.
    """
    scopes = frozenset((asked or "").split()) or held
    if not scopes or not scopes <= held:
        raise InvalidScopeError("Ask for scopes of the subject token that are still granted.")
    return " ".join(sorted(scopes))


def _actor(client: RegisteredClient, claims: TokenClaims) -> Actor | None:
    """Return who acts (section 4.1): a holder that exchanges its own token stays what it was."""
    if claims.client_id == client.record.client_id:
        return claims.act
    return Actor(sub=client.record.client_id, act=claims.act)


def _as_ancestor(claims: TokenClaims) -> Ancestor:
    return Ancestor(jti=claims.jti, client_id=claims.client_id, client_key=claims.client_key)
