"""RFC 9396: ``authorization_details`` of type ``public_credit_data`` in requests and tokens.

Asked for at the token endpoint and in pushed requests, narrowed on refresh and exchange,
never widened. Only a pushed request may ask for a consent: a person answers it. What is
wrong is told by a JSON pointer (RFC 6901).
"""

from collections.abc import Callable
from typing import Any, Final

from authlib.oauth2 import OAuth2Error
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.clock import Clock
from gateway.oauth.client import AuthoritySnapshot, RegisteredClient
from gateway.oauth.consent_request import TermsFaults, require_askable
from gateway.oauth.description import description
from gateway.oauth.rfc8414 import Endpoints
from operators.asked_details import AskedDetails, DetailsFault, details_schema, read_details
from operators.authorization_details import AuthorizationDetail, narrows, wider_field
from operators.consent_terms import AskedConsentTerms
from operators.details_authority import fault_of

PARAMETER: Final = "authorization_details"
Details = tuple[AuthorizationDetail, ...]
_SCHEMA_MEDIA_TYPE: Final = "application/schema+json"
_PUBLIC: Final = {"Cache-Control": "public, max-age=3600"}


class InvalidAuthorizationDetailsError(OAuth2Error):
    """The details cannot be granted (section 5)."""

    error = "invalid_authorization_details"

    def __init__(self, fault: DetailsFault) -> None:
        where = f"At {fault.pointer}" if fault.pointer else "The parameter as a whole"
        super().__init__(description=description(f"{where}: {fault.mend}."))


class DetailsDesk:
    """Reads requested details and tells whether they may be granted.

    ``audience`` is the one resource server that tokens are for; ``terms_faults`` judges
    the terms of consents that are asked for, None where none can be.
    """

    def __init__(
        self,
        authority: Callable[[], AuthoritySnapshot],
        clock: Clock,
        audience: str,
        terms_faults: TermsFaults | None = None,
    ) -> None:
        self._authority = authority
        self._clock = clock
        self._audience = audience
        self._terms_faults = terms_faults

    def requested(self, client: RegisteredClient, text: str | None, scope: str) -> Details:
        """Return the details a client asks for in a new token of ``scope``; () for none.

        Raises InvalidAuthorizationDetailsError for what is malformed and for what licence
        and grants do not allow at this instant.
        """
        if text is None:
            return ()
        asked = _without_terms(_read(text))
        self._require_allowed(client, asked, scope)
        return asked.details

    def pushed(
        self, client: RegisteredClient, text: str | None, scope: str
    ) -> tuple[Details, AskedConsentTerms | None]:
        """Return the details of a pushed request, and the terms where it asks for a consent.

        Raises as `requested`, also for a consent that could not be granted now.
        """
        if text is None:
            return (), None
        asked = _read(text)
        self._require_allowed(client, asked, scope)
        if asked.consent_terms is not None:
            operator_id, now = client.record.operator_id, self._clock.now()
            try:
                require_askable(asked, operator_id, self._terms_faults, now)
            except DetailsFault as fault:
                raise InvalidAuthorizationDetailsError(fault) from None
        return asked.details, asked.consent_terms

    def narrowed(
        self, client: RegisteredClient, text: str | None, held: Details, scope: str
    ) -> Details:
        """Return the details of a token that follows from ``held`` ones; () for none.

        On refresh and token exchange (sections 6 and 7): without the parameter, what is
        held. Raises InvalidAuthorizationDetailsError, also for each detail that is not
        within one that is held; where none are held, any detail narrows.
        """
        if text is None:
            return held
        asked = _without_terms(_read(text))
        for index, detail in enumerate(asked.details):
            if held and not any(narrows(detail, bound) for bound in held):
                raise InvalidAuthorizationDetailsError(_widening(asked, index, held))
        self._require_allowed(client, asked, scope)
        return asked.details

    def _require_allowed(self, client: RegisteredClient, asked: AskedDetails, scope: str) -> None:
        authority, now = self._authority().authority, self._clock.now()
        scopes = frozenset(scope.split())
        for index, detail in enumerate(asked.details):
            for location in sorted(detail.locations - {self._audience}):
                raise InvalidAuthorizationDetailsError(
                    DetailsFault(
                        asked.pointer(index, "locations", location),
                        f"tokens of this server are for {self._audience} alone",
                    )
                )
            fault = fault_of(authority, client.get_client_id(), scopes, detail, now)
            if fault is not None:
                raise InvalidAuthorizationDetailsError(
                    DetailsFault(asked.pointer(index, fault.field, fault.value), fault.mend)
                )


def as_json(details: Details) -> list[dict[str, Any]]:
    """Return details as tokens, token responses and introspection carry them."""
    return [detail.as_json() for detail in details]


def schema(endpoints: Endpoints) -> dict[str, Any]:
    """Return the JSON Schema of the parameter (2020-12), as published at the endpoint."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": endpoints.details_schema,
        "title": PARAMETER,
        **details_schema(),
    }


def routes(endpoints: Endpoints) -> list[Route]:
    """Return the route of the published schema."""
    document = schema(endpoints)

    async def show(_: Request) -> Response:
        return JSONResponse(document, headers=_PUBLIC, media_type=_SCHEMA_MEDIA_TYPE)

    return [Route(Endpoints.path(endpoints.details_schema), show)]


def _read(text: str) -> AskedDetails:
    try:
        return read_details(text)
    except DetailsFault as fault:
        raise InvalidAuthorizationDetailsError(fault) from None


def _without_terms(asked: AskedDetails) -> AskedDetails:
    if asked.consent_terms is not None:
        raise InvalidAuthorizationDetailsError(
            DetailsFault(
                asked.pointer(0, "consent_terms"),
                "only a pushed request asks for a consent: the subject answers it in a browser",
            )
        )
    return asked


def _widening(asked: AskedDetails, index: int, held: Details) -> DetailsFault:
    detail = asked.details[index]
    # One detail held tells which field went too far; of several, none is to blame alone.
    field = wider_field(detail, held[0]) if len(held) == 1 else None
    pointer = f"/{index}" if field is None else asked.pointer(index, field)
    return DetailsFault(pointer, "it goes beyond what was granted; ask for that or for less")
