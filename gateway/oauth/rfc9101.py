"""RFC 9101 (JAR) within RFC 9126: pushed requests that are signed by their client.

FAPI 2.0 Message Signing, section 5.3.1, says what a request object must hold. Who pushes
it is authenticated besides; the signature is for whoever must show later what was asked.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from authlib.oauth2.rfc6749 import InvalidRequestError
from authlib.oauth2.rfc9101.errors import InvalidRequestObjectError
from joserfc import jws
from pydantic import BaseModel, ConfigDict, ValidationError

from gateway.clock import Clock
from gateway.oauth.client import RegisteredClient
from gateway.oauth.jose import ALGORITHMS, MALFORMED, ProfileRegistry, claims_signed_by
from gateway.oauth.rfc7523 import SKEW_SECONDS

REQUEST_TYPE: Final = "oauth-authz-req+jwt"
"""The ``typ`` of section 10.8: no assertion or proof can be taken for a request object."""

LIFE_SECONDS: Final = 3_600
"""Longest life of a request object, from nbf to exp."""

# RFC 7519 section 4.1: about the JWT itself, no parameters of a request.
_ABOUT_ITSELF: Final = frozenset({"iss", "sub", "aud", "exp", "nbf", "iat", "jti"})

_NumericDate = int | float


class RequestObjectClaims(BaseModel):
    """What a request object says of itself; its parameters are read elsewhere."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)

    client_id: str
    aud: str | list[str]
    nbf: _NumericDate
    exp: _NumericDate
    iat: _NumericDate | None = None
    iss: str | None = None


class RequestObjects:
    """Reads the parameters of pushed requests, out of a request object where there is one."""

    def __init__(self, issuer: str, clock: Clock) -> None:
        self._issuer = issuer
        self._clock = clock
        self._registry = ProfileRegistry()

    def parameters(self, client: RegisteredClient, form: Mapping[str, str]) -> dict[str, str]:
        """Return the parameters that ``client`` pushed in ``form``.

        Beside a request object the form's own count for nothing (RFC 9126 section 3).
        Raises InvalidRequestError, InvalidRequestObjectError.
        """
        text = form.get("request")
        if text is not None:
            return _parameters(self._claims(client, text))
        if client.record.signed_requests:
            raise InvalidRequestError(
                "This client is registered to sign its requests; push a request object."
            )
        return dict(form)

    def _claims(self, client: RegisteredClient, text: str) -> dict[str, Any]:
        header = _header(text)
        if str(header.get("typ", "")).lower().removeprefix("application/") != REQUEST_TYPE:
            raise InvalidRequestObjectError(f"The typ of a request object is {REQUEST_TYPE}.")
        if header.get("alg") not in ALGORITHMS:
            raise InvalidRequestObjectError(
                f"Sign the request object with one of {', '.join(ALGORITHMS)}."
            )
        signed = claims_signed_by(client.keys, text, header, self._registry)
        if signed is None:
            raise InvalidRequestObjectError(
                "The request object is not signed by a key registered for this client."
            )
        try:
            read = RequestObjectClaims.model_validate(signed.claims)
        except ValidationError as error:
            fields = sorted({str(problem["loc"][0]) for problem in error.errors()})
            raise InvalidRequestObjectError(
                f"The request object lacks valid {', '.join(fields)}."
            ) from error
        self._require_for_us(read, client.get_client_id())
        _require_in_time(read, self._clock.now())
        return signed.claims

    def _require_for_us(self, claims: RequestObjectClaims, client_id: str) -> None:
        if claims.client_id != client_id or claims.iss not in (None, client_id):
            raise InvalidRequestObjectError(
                "client_id and iss of a request object must name the client that pushes it."
            )
        audiences = [claims.aud] if isinstance(claims.aud, str) else claims.aud
        if self._issuer not in audiences:
            raise InvalidRequestObjectError(
                "The request object's aud must name this server's issuer."
            )


def _header(text: str) -> dict[str, Any]:
    try:
        return jws.extract_compact(text.encode()).headers()
    except MALFORMED as error:
        raise InvalidRequestObjectError("The request object is no signed JWT.") from error


def _require_in_time(claims: RequestObjectClaims, now: int) -> None:
    """Refuse an object that is not valid at ``now``, or was made to be valid for long."""
    for moment in (claims.nbf, claims.iat):
        if moment is not None and moment > now + SKEW_SECONDS:
            raise InvalidRequestObjectError("The request object is not valid yet.")
    if claims.exp <= now:
        raise InvalidRequestObjectError("The request object is over; make one per request.")
    # So nbf is within the last 60 minutes too, as the section wants it.
    if claims.exp - claims.nbf > LIFE_SECONDS:
        raise InvalidRequestObjectError(
            "The request object lives too long; let exp be within 60 minutes of nbf."
        )


def _parameters(claims: Mapping[str, Any]) -> dict[str, str]:
    """Return claims as the form would have had them (section 4: arrays, objects as JSON)."""
    # Section 4: a request object holds neither another nor a reference to one.
    if "request" in claims or "request_uri" in claims:
        raise InvalidRequestObjectError("A request object holds no request and no request_uri.")
    parameters: dict[str, str] = {}
    for name, value in claims.items():
        if name in _ABOUT_ITSELF:
            continue
        if isinstance(value, str):
            parameters[name] = value
        elif isinstance(value, list | dict) or type(value) is int:
            parameters[name] = json.dumps(value, ensure_ascii=False)
        else:
            raise InvalidRequestObjectError(
                "Claims of a request object are texts, whole numbers, arrays and objects."
            )
    return {name: value for name, value in parameters.items() if value}
