"""The anchor's HTTP application: configuration, statements, list, news, health.

Source: OpenID Federation 1.0, sections 8 and 9. All of it is public; what it says is signed.
"""

from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.anchor.desk import FETCH_PATH, LIST_PATH, AnchorDesk
from gateway.anchor.home import NoAnchor
from gateway.federation.trust.news import NEWS_MEDIA_TYPE, NEWS_PATH
from gateway.federation.trust.statement import CONFIGURATION_PATH, STATEMENT_MEDIA_TYPE
from gateway.federation.trust.waiting import Waiting, federation_error

_UNCACHED = {"Cache-Control": "no-store"}


def anchor_app(desk: AnchorDesk, waiting: Waiting) -> Starlette:
    """Return the application; ``waiting`` is `news_waiting` of ``desk``."""

    async def configuration(_: Request) -> Response:
        return Response(desk.configuration(), media_type=STATEMENT_MEDIA_TYPE, headers=_UNCACHED)

    async def fetch(request: Request) -> Response:
        # Section 8.1.1: sub is REQUIRED.
        subject = request.query_params.get("sub")
        if subject is None:
            return federation_error(400, "invalid_request", "name the entity as sub")
        statement = desk.statement(subject)
        if statement is None:
            return federation_error(404, "not_found", "no such entity stands under this anchor")
        return Response(statement, media_type=STATEMENT_MEDIA_TYPE, headers=_UNCACHED)

    async def listed(request: Request) -> Response:
        # Section 8.2.1: who does not support a parameter answers unsupported_parameter.
        if request.query_params:
            return federation_error(400, "unsupported_parameter", "the list takes no parameters")
        return JSONResponse(desk.standing(), headers=_UNCACHED)

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok", "number": desk.number()}, headers=_UNCACHED)

    base = urlsplit(desk.entity_id).path.rstrip("/")
    app = Starlette(
        routes=[
            Route(base + CONFIGURATION_PATH, configuration),
            Route(base + FETCH_PATH, fetch),
            Route(base + LIST_PATH, listed),
            Route(base + NEWS_PATH, waiting.answer),
            Route("/healthz", health),
        ],
        exception_handlers={NoAnchor: _unavailable, OSError: _unavailable},
    )
    app.router.redirect_slashes = False
    return app


def news_waiting(desk: AnchorDesk) -> Waiting:
    """Return what holds questions for the news of ``desk`` open."""
    return Waiting(desk.number, desk.news, NEWS_MEDIA_TYPE)


async def _unavailable(_: Request, error: Exception) -> Response:
    del error  # it could name files of this host
    return federation_error(503, "temporarily_unavailable", "the register cannot be read")
