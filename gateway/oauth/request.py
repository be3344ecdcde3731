"""Reading token requests: a bounded form body (RFC 6749 section 3.2) and the peer."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Error, OAuth2Payload, OAuth2Request
from starlette.requests import Request

MOST_BYTES: Final = 16_384
_MOST_FIELDS: Final = 32
_READ_SECONDS: Final = 10
FORM: Final = "application/x-www-form-urlencoded"


class RequestTooLargeError(OAuth2Error):
    """The body is larger than `MOST_BYTES` (HTTP 413)."""

    error = "invalid_request"
    description = f"The request body must not exceed {MOST_BYTES} bytes."
    status_code = 413


class RequestTooSlowError(OAuth2Error):
    """The body did not arrive in time (HTTP 408)."""

    error = "invalid_request"
    description = f"The request body must arrive within {_READ_SECONDS} seconds."
    status_code = 408


class _Form(OAuth2Payload):
    def __init__(self, fields: dict[str, str]) -> None:
        self._fields = fields

    @property
    def data(self) -> dict[str, str]:
        return self._fields

    @property
    def datalist(self) -> defaultdict[str, list[str]]:
        return defaultdict(list, {name: [value] for name, value in self._fields.items()})


class TokenRequest(OAuth2Request):
    """A token request: its form, and the thumbprint of the peer's certificate, if any.

    ``uri`` is the endpoint's own, not what the client's Host header makes of it;
    ``proofs`` are the values of its DPoP headers, ``accept`` is what it accepts.
    """

    def __init__(
        self,
        uri: str,
        headers: Mapping[str, str],
        fields: dict[str, str],
        thumbprint: str | None,
    ) -> None:
        super().__init__("POST", uri, headers=headers)
        self.payload = _Form(fields)
        self.thumbprint = thumbprint
        self.proofs = [value for name, value in headers.items() if name.lower() == "dpop"]
        self.accept = ",".join(v for name, v in headers.items() if name.lower() == "accept")
        self._fields = fields

    @property
    def form(self) -> dict[str, str]:
        """The parameters of the body; those of the query are never read."""
        return self._fields


async def read_form(request: Request, needed: str | None) -> dict[str, str]:
    """Return the parameters of the body.

    RFC 6749 section 3.2: parameters without a value count as left out, and none may
    come twice; ``needed``, if any, must be among them. Raises OAuth2Error on anything else.
    """
    fields = form_fields(await read_body(request, FORM), keep_blank_values=False)
    if needed is not None and needed not in fields:
        raise InvalidRequestError(f"The parameter {needed} is missing.")
    return fields


async def read_body(request: Request, media_type: str) -> bytes:
    """Return the body, which must be of ``media_type``. Raises OAuth2Error."""
    if media_type_of(request) != media_type:
        raise InvalidRequestError(f"The request body must be {media_type}.")
    return await bounded_body(request)


def media_type_of(request: Request) -> str:
    """Return the media type of the body, without parameters, in lower case."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def bounded_body(request: Request) -> bytes:
    """Return the body. Raises RequestTooLargeError, RequestTooSlowError."""
    try:
        async with asyncio.timeout(_READ_SECONDS):
            return await _body(request)
    except TimeoutError as error:
        raise RequestTooSlowError from error


def form_fields(body: bytes, *, keep_blank_values: bool) -> dict[str, str]:
    """Return the fields of a form, each of which comes once. Raises InvalidRequestError."""
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=keep_blank_values,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError as error:
        raise InvalidRequestError("The request body is no valid form.") from error
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise InvalidRequestError("A parameter must not come more than once.")
    return fields


async def _body(request: Request) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > MOST_BYTES:
        raise RequestTooLargeError
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise RequestTooLargeError
    return bytes(body)
