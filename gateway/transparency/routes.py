"""The logs as files over HTTP, for anyone: checkpoint, tiles, entries, key.

Source: C2SP tlog-tiles. What is immutable may be kept for ever; the checkpoint is not to be
kept.
"""

import asyncio
import gzip
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from creditgate.transparency.tiles import Tile, parse_tile_path
from gateway.transparency.log import LogReader

PREFIX: Final = "/log"
_LONG: Final = {"Cache-Control": "public, max-age=31536000, immutable"}
_FRESH: Final = {"Cache-Control": "no-cache"}
_BINARY: Final = "application/octet-stream"
_LEAST_ZIPPED: Final = 1_024


def log_routes(log: LogReader, below: str = "", *, entries: bool) -> list[Route]:
    """Return the routes of a log, at `PREFIX` and its name below the path ``below``.

    Without ``entries`` only its hashes are told to strangers, not what they are of.
    """

    async def checkpoint(_: Request) -> Response:
        latest = await asyncio.to_thread(log.latest)
        if latest is None:
            return _not_found()
        return PlainTextResponse(latest.note, headers=_FRESH)

    async def key(_: Request) -> Response:
        return PlainTextResponse(f"{log.key}\n", headers=_FRESH)

    async def tile(request: Request) -> Response:
        try:
            asked = parse_tile_path("tile/" + request.path_params["path"])
            if asked.level is None and not entries:
                return _not_found()
            content = await asyncio.to_thread(_content, log, asked)
        except (ValueError, LookupError):
            return _not_found()
        return _immutable(request, asked, content)

    prefix = f"{below}{PREFIX}/{log.log.path}"
    return [
        Route(f"{prefix}/checkpoint", checkpoint),
        Route(f"{prefix}/key", key),
        Route(f"{prefix}/tile/{{path:path}}", tile),
    ]


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


def _not_found() -> Response:
    # Not to be kept: what is not there yet may come.
    return PlainTextResponse("There is no such part of the log.\n", 404, headers=_FRESH)
