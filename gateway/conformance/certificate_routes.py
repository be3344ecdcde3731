"""Certificates of conformance for everybody: their schema, and what has become of one.

The id of a certificate is known only to those it was shown to. The keys that sign it are
published with those of receipts (`gateway.consents.schema`).
"""

import re
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from creditgate.conformance_certificate import SCHEMA_PATH, STATUS_PATH, certificate_schema
from creditgate.refusal import Refused
from gateway.clock import Clock
from gateway.conformance.certified import Certified
from gateway.shares import Shares

_ID: Final = re.compile("[0-9a-f]{10}-[0-9a-f]{24}")
_SCHEMA_MEDIA_TYPE: Final = "application/schema+json"
_SCHEMA_CACHING: Final = {"Cache-Control": "public, max-age=3600"}
_STATUS_CACHING: Final = {"Cache-Control": "no-store"}


def certificate_routes(
    issuer: str, certified: Certified, shares: Shares, clock: Clock
) -> list[Route]:
    """Return the routes of schema and status below ``issuer``."""
    document = certificate_schema(issuer)

    async def schema(_: Request) -> Response:
        return JSONResponse(document, headers=_SCHEMA_CACHING, media_type=_SCHEMA_MEDIA_TYPE)

    async def status(request: Request) -> Response:
        certificate_id: str = request.path_params["certificate_id"]
        now = clock.now()
        found = None
        if _ID.fullmatch(certificate_id):
            # Behind a proxy all share what one address is let.
            host = "" if request.client is None else request.client.host
            try:
                found = await shares.run(f"address {host}", certified.status, certificate_id, now)
            except Refused as refused:
                headers = {**_STATUS_CACHING, "Retry-After": str(refused.retry_after)}
                return JSONResponse({"error": "too_many_requests"}, 429, headers=headers)
        if found is None:
            return JSONResponse({"error": "not_found"}, 404, headers=_STATUS_CACHING)
        return JSONResponse({"status": found, "at": now}, headers=_STATUS_CACHING)

    return [
        Route(_path(issuer, SCHEMA_PATH), schema),
        Route(_path(issuer, STATUS_PATH) + "{certificate_id}", status),
    ]


def _path(issuer: str, below: str) -> str:
    return urlsplit(issuer.rstrip("/") + below).path
