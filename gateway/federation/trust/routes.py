"""What a region shows of itself over HTTPS: its entity configuration, the news it heard, and
its catalogue. All of it is public; the first two are signed."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.federation.trust.configuration import CATALOGUE_PATH
from gateway.federation.trust.news import NEWS_MEDIA_TYPE, NEWS_PATH, News
from gateway.federation.trust.statement import CONFIGURATION_PATH, STATEMENT_MEDIA_TYPE
from gateway.federation.trust.waiting import Waiting, federation_error

_UNCACHED = {"Cache-Control": "no-store"}


class TrustRoutes(NamedTuple):
    """Routes of the HTTP application, and what ends questions that wait."""

    routes: Sequence[Route]
    end: Callable[[], None]


def trust_routes(
    entity_id: str,
    configuration: Callable[[], str],
    news: Callable[[], News | None],
    catalogue: Callable[[], dict[str, Any]],
) -> TrustRoutes:
    """Return the routes below ``entity_id``.

    ``news`` is relayed as it was heard last, for peers that cannot reach the anchor: it is
    signed and dated, so that a relay can make it neither other nor newer.
    """
    base = urlsplit(entity_id).path.rstrip("/")
    waiting = Waiting(lambda: _number(news()), lambda: _text(news()), NEWS_MEDIA_TYPE)

    async def show_configuration(_: Request) -> Response:
        return Response(configuration(), media_type=STATEMENT_MEDIA_TYPE, headers=_UNCACHED)

    async def show_news(request: Request) -> Response:
        if news() is None:
            return federation_error(503, "temporarily_unavailable", "nothing was heard yet")
        return await waiting.answer(request)

    async def show_catalogue(_: Request) -> Response:
        return JSONResponse(catalogue(), headers=_UNCACHED)

    routes = [
        Route(base + CONFIGURATION_PATH, show_configuration),
        Route(base + NEWS_PATH, show_news),
        Route(base + CATALOGUE_PATH, show_catalogue),
    ]
    return TrustRoutes(routes, waiting.end)


def _number(news: News | None) -> int:
    return -1 if news is None else news.number


def _text(news: News | None) -> str:
    return "" if news is None else news.text
