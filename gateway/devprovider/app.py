"""The provider's HTTP application: OpenID Connect, and a page to choose who one is."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.devprovider.accounts import Account
from gateway.devprovider.provider import (
    DevelopmentProvider,
    Pending,
    Presence,
    TokenRefused,
)
from gateway.devprovider.sign_in_request import (
    AskedWrongly,
    NotOurParty,
    SignInRequest,
    sign_in_request,
)
from gateway.oauth.uncached import NO_STORE
from gateway.pages.forms import FormRefused, posted
from gateway.pages.rendering import Language, Pages, language_of, see_other, style_route
from operators.administrators import BASIC_ACR, STRONG_ACR

COOKIE: Final = "__Host-creditgate-development-provider"


def build_provider_app(provider: DevelopmentProvider, accounts: tuple[Account, ...]) -> Starlette:
    """Return the application of ``provider``, where ``accounts`` can sign in."""
    site = _Site(provider, accounts)
    return Starlette(
        routes=[
            Route("/.well-known/openid-configuration", site.metadata),
            Route("/jwks", site.keys),
            Route("/authorize", site.authorize),
            Route("/sign-in", site.choose, methods=["POST"]),
            Route("/one-time-code", site.prove, methods=["POST"]),
            Route("/token", site.token, methods=["POST"]),
            style_route(),
        ],
        exception_handlers={FormRefused: _form_refused},
    )


class _Site:
    def __init__(self, provider: DevelopmentProvider, accounts: tuple[Account, ...]) -> None:
        self._provider = provider
        self._accounts = {account.subject: account for account in accounts}
        self._pages = Pages(__package__ or "")

    async def metadata(self, _: Request) -> Response:
        """Answer OpenID Connect Discovery 1.0 section 4."""
        issuer = self._provider.issuer
        return JSONResponse(
            {
                "issuer": issuer,
                "authorization_endpoint": f"{issuer}/authorize",
                "token_endpoint": f"{issuer}/token",
                "jwks_uri": f"{issuer}/jwks",
                "scopes_supported": ["openid", "profile"],
                "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
                "acr_values_supported": [BASIC_ACR, STRONG_ACR],
                "prompt_values_supported": ["none", "login", "select_account"],
                "token_endpoint_auth_methods_supported": ["private_key_jwt"],
                "token_endpoint_auth_signing_alg_values_supported": ["ES256"],
                "code_challenge_methods_supported": ["S256"],
                "authorization_response_iss_parameter_supported": True,
            },
            headers=NO_STORE,
        )

    async def keys(self, _: Request) -> Response:
        """Answer the JWK Set."""
        return JSONResponse({"keys": [self._provider.jwk]}, headers=NO_STORE)

    async def authorize(self, request: Request) -> Response:
        """Answer the authorisation endpoint: at once where nobody has to sign in again."""
        language = _language(request)
        try:
            asked = sign_in_request(self._provider.party, _once(request))
        except NotOurParty:
            return self._pages.page("refused.html", language, status=400)
        except AskedWrongly as wrong:
            return self._back({"error": wrong.error, "state": wrong.state})
        cookie = request.cookies.get(COOKIE)
        presence = None if cookie is None else self._provider.presence(cookie)
        if presence is not None and presence.satisfies(asked, self._provider.clock.now()):
            return self._signed_in(asked, presence)
        if "none" in asked.prompt:
            return self._back({"error": "login_required", "state": asked.state})
        return self._pages.page(
            "choose.html",
            language,
            key=self._provider.begin(asked),
            accounts=tuple(self._accounts.values()),
            strong=asked.strong,
            forms_lead_to=(self._provider.party.redirect_uri,),
        )

    async def choose(self, request: Request) -> Response:
        """Take the account that was chosen; ask for the one-time code where that is asked."""
        form, language = await posted(request), language_of(request)
        key = form.get("key", "")
        pending = self._provider.pending(key)
        account = self._accounts.get(form.get("account", ""))
        if pending is None or account is None:
            return self._pages.page("refused.html", language, status=400)
        if pending.asked.strong:
            chosen = self._provider.choose(key, pending, account)
            return self._code_page(key, chosen, language, wrong=False)
        return self._finished(key, pending, account)

    async def prove(self, request: Request) -> Response:
        """Take the one-time code."""
        form, language = await posted(request), language_of(request)
        key = form.get("key", "")
        pending = self._provider.pending(key)
        if pending is None or pending.account is None:
            return self._pages.page("refused.html", language, status=400)
        if not self._provider.guess(key, pending, form.get("code", "").strip()):
            return self._code_page(key, pending, language, wrong=True)
        return self._finished(key, pending, pending.account)

    async def token(self, request: Request) -> Response:
        """Answer the token endpoint."""
        try:
            return JSONResponse(self._provider.tokens(await posted(request)), headers=NO_STORE)
        except TokenRefused as refused:
            status = 401 if str(refused) == "invalid_client" else 400
            return JSONResponse({"error": str(refused)}, status, headers=NO_STORE)

    def _code_page(
        self, key: str, pending: Pending, language: Language, *, wrong: bool
    ) -> Response:
        return self._pages.page(
            "one_time_code.html",
            language,
            status=403 if wrong else 200,
            key=key,
            code=pending.one_time_code,
            wrong=wrong,
            forms_lead_to=(self._provider.party.redirect_uri,),
        )

    def _finished(self, key: str, pending: Pending, account: Account) -> Response:
        cookie, presence = self._provider.sign_in(key, pending, account)
        response = self._signed_in(pending.asked, presence)
        response.set_cookie(COOKIE, cookie, path="/", secure=True, httponly=True, samesite="lax")
        return response

    def _signed_in(self, asked: SignInRequest, presence: Presence) -> Response:
        return self._back({"code": self._provider.code(asked, presence), "state": asked.state})

    def _back(self, answer: Mapping[str, str]) -> Response:
        """Send the browser back to the relying party, naming this provider (RFC 9207)."""
        query = urlencode({**answer, "iss": self._provider.issuer})
        return see_other(f"{self._provider.party.redirect_uri}?{query}")


def _once(request: Request) -> dict[str, str]:
    """Return the parameters, without those that come twice (RFC 6749 section 3.1)."""
    query = request.query_params
    return {name: values[0] for name in query if len(values := query.getlist(name)) == 1}


def _language(request: Request) -> Language:
    """Return the language the relying party asks for by ``ui_locales``."""
    asked = request.query_params.get("ui_locales", "")
    return "en" if asked.lower().startswith("en") else "zh"


async def _form_refused(_: Request, error: Exception) -> Response:
    status = error.status if isinstance(error, FormRefused) else 500
    return Response(status_code=status, headers=NO_STORE)
