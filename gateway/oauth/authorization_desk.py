"""The authorisation endpoint's decisions: what a browser is shown, and where it goes back to."""

from typing import Final

from gateway.oauth.authorization_request import AuthorizationRequest
from gateway.oauth.client import RegisteredClient
from gateway.oauth.context import AuthorizationContext
from gateway.oauth.interactions import Approval, AskedAuthorization
from gateway.oauth.pushed_requests import SqlPushedRequests
from gateway.oauth.rfc9126 import URI_PREFIX
from gateway.oauth.rfc9207 import AuthorizationResponses, ResponseError
from gateway.oauth.secret import new_secret
from gateway.oauth.terms import CodeTerms, GrantTerms
from operators.authorization_details import narrows

_MOST_CHARACTERS: Final = 128


class AuthorizationDesk:
    """`gateway.oauth.interactions.Interactions`, and how browsers come to them.

    Calls block on the store.
    """

    def __init__(self, context: AuthorizationContext, requests: SqlPushedRequests) -> None:
        self._context = context
        self._requests = requests
        self._responses = AuthorizationResponses(
            context.endpoints.issuer, context.keys, context.clock
        )

    def opened(self, client_id: str, request_uri: str) -> str | None:
        """Return where a browser goes that comes with a request_uri.

        To the interaction, or back to the client with an error. None when there is no
        such request of that client: then nothing tells where it would be safe to go.
        Raises Refused AUTHORITY_UNKNOWN, TEMPORARILY_UNAVAILABLE.
        """
        if not request_uri.startswith(URI_PREFIX) or len(request_uri) > _MOST_CHARACTERS:
            return None
        reference, now = request_uri.removeprefix(URI_PREFIX), self._context.clock.now()
        request = self._requests.request(reference, client_id, now)
        client = None if request is None else self._asking(request)
        if request is None or client is None:
            return None
        if not client.may_act:
            return self._responses.failure(request, client, "unauthorized_client")
        interaction_id = self._requests.begin(reference, client_id, now)
        if interaction_id is None:
            return None
        return self._context.endpoints.interaction(interaction_id)

    def asked(self, interaction_id: str) -> AskedAuthorization | None:
        """As `Interactions.asked`."""
        waiting = self._requests.waiting(interaction_id, self._context.clock.now())
        client = None if waiting is None else self._asking(waiting.request)
        if waiting is None or client is None:
            return None
        request = waiting.request
        return AskedAuthorization(
            interaction_id,
            request.client_id,
            request.redirect_uri,
            frozenset(request.scope.split()) & client.granted,
            request.details,
            tuple(request.acr_values.split()),
            request.max_age,
            request.prompt,
            waiting.asked_at,
            waiting.expires_at,
            waiting.pushed_at,
            waiting.request_id,
            request.consent_terms,
        )

    def approve(self, interaction_id: str, approval: Approval) -> str | None:
        """As `Interactions.approve`. Raises ValueError when more is approved than asked."""
        now = self._context.clock.now()
        waiting = self._requests.waiting(interaction_id, now)
        client = None if waiting is None else self._asking(waiting.request)
        if waiting is None or client is None:
            return None
        request = waiting.request
        _require_within(request, approval)
        if not client.may_act:
            return self.deny(interaction_id, "unauthorized_client")
        code = new_secret()
        terms = CodeTerms(
            redirect_uri=request.redirect_uri,
            code_challenge=request.code_challenge,
            jkt=request.jkt,
            granted=GrantTerms(
                principal=approval.principal,
                scope=" ".join(sorted(approval.scopes)),
                details=approval.details,
                auth_time=approval.auth_time,
                acr=approval.acr,
                opened=" ".join(sorted(approval.opened)),
            ),
        )
        # Made first: a response that cannot be signed must not use the request up.
        url = self._responses.success(request, client, code)
        return url if self._requests.approve(interaction_id, code, terms, now) else None

    def deny(self, interaction_id: str, error: ResponseError = "access_denied") -> str | None:
        """As `Interactions.deny`."""
        now = self._context.clock.now()
        waiting = self._requests.waiting(interaction_id, now)
        client = None if waiting is None else self._asking(waiting.request)
        if waiting is None or client is None:
            return None
        url = self._responses.failure(waiting.request, client, error)
        return url if self._requests.deny(interaction_id, now) else None

    def _asking(self, request: AuthorizationRequest) -> RegisteredClient | None:
        """Return the client as of now; None when the redirect_uri is no longer its own."""
        client = self._context.client(request.client_id)
        if client is None or not client.check_redirect_uri(request.redirect_uri):
            return None
        return client


def _require_within(request: AuthorizationRequest, approval: Approval) -> None:
    scopes_fit = approval.scopes and approval.scopes <= set(request.scope.split())
    # No details at all would allow more than any detail.
    details_fit = bool(approval.details) or not request.details
    for detail in approval.details:
        details_fit = details_fit and (
            not request.details or any(narrows(detail, bound) for bound in request.details)
        )
    if request.consent_terms is not None:
        details_fit = details_fit and all(detail.consent for detail in approval.details)
    if not scopes_fit or not details_fit:
        raise ValueError("an approval names some of what was asked, and nothing else")
