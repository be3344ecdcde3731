"""What anybody needs to read a receipt: the artefact's JSON Schema, and the keys.

Keys of receipts are published for good, retired ones too. Tokens live for minutes, so
that their keys go soon; a receipt must be readable when the consent is long over.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from creditgate.consent_artefact import SCHEMA_VERSIONS, artefact_schema, schema_path
from creditgate.signed_document import KEYS_PATH
from gateway.oauth.keys import CACHED_SECONDS, SigningKeyBook

_SCHEMA_MEDIA_TYPE: Final = "application/schema+json"
_KEYS_MEDIA_TYPE: Final = "application/jwk-set+json"
_SCHEMA_CACHING: Final = {"Cache-Control": "public, max-age=3600"}
_KEYS_CACHING: Final = {"Cache-Control": f"public, max-age={CACHED_SECONDS}"}


def schema_routes(issuer: str) -> list[Route]:
    """Return the routes of the schema below ``issuer``, of each version there ever was."""
    return [
        schema_route(issuer, schema_path(version), artefact_schema(issuer, version))
        for version in SCHEMA_VERSIONS
    ]


def schema_route(issuer: str, path: str, document: Mapping[str, Any]) -> Route:
    """Return the route of a JSON Schema at ``path`` below ``issuer``."""

    async def show(_: Request) -> Response:
        return JSONResponse(document, headers=_SCHEMA_CACHING, media_type=_SCHEMA_MEDIA_TYPE)

    return Route(_path(issuer, path), show)


def receipt_key_routes(issuer: str, book: Callable[[], SigningKeyBook]) -> list[Route]:
    """Return the route of the keys below ``issuer``, ``book`` giving those of the moment."""

    async def show(_: Request) -> Response:
        return JSONResponse(
            receipt_keys(book()), headers=_KEYS_CACHING, media_type=_KEYS_MEDIA_TYPE
        )

    return [Route(_path(issuer, KEYS_PATH), show)]


def receipt_keys(book: SigningKeyBook) -> dict[str, Any]:
    """Return all keys that sign or ever signed as a JWK Set (RFC 7517 section 5).

    ``iat`` tells since when a key signs, ``exp`` of a retired one from when on it does not
    (seconds, UTC): the members of OpenID Federation 1.0, historical keys. A receipt whose
    own ``iat`` lies outside is forged.
    """
    return {
        "keys": [
            {
                **key.jwk,
                "iat": key.active_from,
                **({} if key.retired_at is None else {"exp": key.retired_at}),
            }
            for key in book.ever()
        ]
    }


def _path(issuer: str, below: str) -> str:
    return urlsplit(issuer.rstrip("/") + below).path
