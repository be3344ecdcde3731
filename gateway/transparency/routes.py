"""The logs as files over HTTP, for anyone: checkpoint, tiles, entries, key.

Source: C2SP tlog-tiles. What is immutable may be kept for ever; the checkpoint is not to be
kept.
"""

import gzip
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from creditgate.refusal import Refused
from creditgate.transparency.tiles import Tile, parse_tile_path
from gateway.shares import Shares
from gateway.transparency.links import LogLinks
from gateway.transparency.log import LogReader

PREFIX: Final = "/log"
_LONG: Final = {"Cache-Control": "public, max-age=31536000, immutable"}
_FRESH: Final = {"Cache-Control": "no-cache"}
_BINARY: Final = "application/octet-stream"
_LEAST_ZIPPED: Final = 1_024


def log_routes(log: LogReader, shares: Shares, below: str = "", *, entries: bool) -> list[Route]:
    """Return the routes of a log, at `PREFIX` and its name below the path ``below``.

    An address that asks for too much at once is told to come again (429).
    Without ``entries`` only its hashes are told to strangers, not what they are of.
    """

    async def checkpoint(request: Request) -> Response:
        try:
            latest = await shares.run(_asker(request), log.latest)
        except Refused as refused:
            return _too_much(refused)
        if latest is None:
            return _not_found()
        return PlainTextResponse(latest.cosigned, headers=_FRESH)

    async def key(_: Request) -> Response:
        return PlainTextResponse(f"{log.key}\n", headers=_FRESH)

    async def tile(request: Request) -> Response:
        try:
            asked = parse_tile_path("tile/" + request.path_params["path"])
            if asked.level is None and not entries:
                return _not_found()
            content = await shares.run(_asker(request), _content, log, asked)
        except Refused as refused:
            return _too_much(refused)
        except (ValueError, LookupError):
            return _not_found()
        return _immutable(request, asked, content)

    prefix = f"{below}{PREFIX}/{log.log.path}"
    return [
        Route(f"{prefix}/checkpoint", checkpoint),
        Route(f"{prefix}/key", key),
        Route(f"{prefix}/tile/{{path:path}}", tile),
    ]


def links_route(links: LogLinks, shares: Shares, path: str, below: str = "") -> Route:
    """Return the route that tells which keys a log had and has next, of the log called ``path``: a
    JSON list of the notes by which each names the one that follows, the oldest first."""

    async def told(request: Request) -> Response:
        try:
            notes = await shares.run(_asker(request), links.notes)
        except Refused as refused:
            return _too_much(refused)
        return JSONResponse(notes, headers=_FRESH)

    return Route(f"{below}{PREFIX}/{path}/successions", told)


def _content(log: LogReader, tile: Tile) -> bytes:
    if tile.level is None:
        return log.bundle(tile.number, tile.width)
    return log.tile(tile.level, tile.number, tile.width)


def _immutable(request: Request, tile: Tile, content: bytes) -> Response:
    headers = dict(_LONG)
    # Hashes do not get shorter; entries do, and the specification asks for it.
    if tile.level is None and len(content) >= _LEAST_ZIPPED:
        headers["Vary"] = "Accept-Encoding"
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
            content = gzip.compress(content, 6, mtime=0)
    return Response(content, media_type=_BINARY, headers=headers)


def _asker(request: Request) -> str:
    # Behind a proxy all share what one address is let.
    return f"address {'' if request.client is None else request.client.host}"


def _too_much(refused: Refused) -> Response:
    headers = {**_FRESH, "Retry-After": str(refused.retry_after)}
    return PlainTextResponse("You ask for too much at once; come again.\n", 429, headers=headers)


def _not_found() -> Response:
    # Not to be kept: what is not there yet may come.
    return PlainTextResponse("There is no such part of the log.\n", 404, headers=_FRESH)
