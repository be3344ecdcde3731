"""Certificates of conformance for everybody: their schemas, and what has become of one.

The id of a certificate is known only to those it was shown to. The keys that sign it are
published with those of receipts (`gateway.consents.schema`).
"""

import re
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from creditgate.conformance_certificate import (
    SCHEMA_PATH,
    STATEMENT,
    STATUS_PATH,
    STATUS_SCHEMA_PATH,
    certificate_schema,
    certificate_status_schema,
)
from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.clock import Clock
from gateway.conformance.certificate_status import CertificateStatements
from gateway.conformance.certified import Certified
from gateway.conformance.uptime import Awake
from gateway.consents.schema import schema_route
from gateway.shares import Shares

_ID: Final = re.compile("[0-9a-f]{10}-[0-9a-f]{24}")
_STATEMENT_MEDIA_TYPE: Final = "application/jose"
_STATUS_CACHING: Final = {"Cache-Control": "no-store"}


_T = TypeVar("_T")


def certificate_routes(
    issuer: str,
    certified: Certified,
    statements: CertificateStatements,
    shares: Shares,
    clock: Clock,
    awake: Awake,
) -> list[Route]:
    """Return the routes of schemas and status below ``issuer``."""

    def asking(
        ask: Callable[[str, int], _T | None], show: Callable[[_T, int], Response]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Return what asks of the certificate that the path names, and shows what it learns."""

        def ask_awake(certificate_id: str, now: int) -> _T | None:
            awake.wake(now)
            return ask(certificate_id, now)

        async def serve(request: Request) -> Response:
            certificate_id: str = request.path_params["certificate_id"]
            now = clock.now()
            found = None
            if _ID.fullmatch(certificate_id):
                # Behind a proxy all share what one address is let.
                host = "" if request.client is None else request.client.host
                try:
                    found = await shares.run(f"address {host}", ask_awake, certificate_id, now)
                except Refused as refused:
                    return _trouble(refused)
            if found is None:
                return JSONResponse({"error": "not_found"}, 404, headers=_STATUS_CACHING)
            return show(found, now)

        return serve

    def shown(status: str, now: int) -> Response:
        return JSONResponse({"status": status, "at": now}, headers=_STATUS_CACHING)

    def signed(statement: str, _: int) -> Response:
        return Response(statement, headers=_STATUS_CACHING, media_type=_STATEMENT_MEDIA_TYPE)

    below = _path(issuer, STATUS_PATH) + "{certificate_id}"
    return [
        schema_route(issuer, SCHEMA_PATH, certificate_schema(issuer)),
        schema_route(issuer, STATUS_SCHEMA_PATH, certificate_status_schema(issuer)),
        Route(below, asking(certified.status, shown)),
        Route(below + STATEMENT, asking(statements.statement, signed)),
    ]


def _trouble(refused: Refused) -> Response:
    """Return the answer where it cannot be told now."""
    slow = refused.reason == RefusalReason.REFUSAL_REASON_RATE_EXCEEDED
    error, status = ("too_many_requests", 429) if slow else ("temporarily_unavailable", 503)
    headers = {**_STATUS_CACHING, "Retry-After": str(refused.retry_after or 1)}
    return JSONResponse({"error": error}, status, headers=headers)


def _path(issuer: str, below: str) -> str:
    return urlsplit(issuer.rstrip("/") + below).path
