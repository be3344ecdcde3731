"""The HTTPS server ends when it is told to, and not before what was asked is answered."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import cast

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.oauth import connection
from gateway.oauth.connection import EmbeddedServer, bound_socket, build_http_server
from tests.oauth.world import World

Serve = Callable[[Request], Awaitable[Response]]


async def at_once(_: Request) -> Response:
    """Answer."""
    return PlainTextResponse("answered")


@asynccontextmanager
async def served(
    world: World, serve: Serve
) -> AsyncGenerator[tuple[EmbeddedServer, "asyncio.Task[None]", httpx.AsyncClient]]:
    """Serve ``serve`` at any path; give the server, its task and a client of it."""
    bound = bound_socket("127.0.0.1", 0)
    url = f"https://localhost:{bound.getsockname()[1]}"
    server = build_http_server(Starlette(routes=[Route("/", serve)]), world.tls)
    task = asyncio.create_task(server.serve(sockets=[bound]))
    async with httpx.AsyncClient(verify=world.trust(None), base_url=url) as http:
        yield server, task, http
    server.stop()
    await task


async def test_a_server_told_to_stop_does_not_wait_for_silent_connections(
    world: World,
) -> None:
    async with served(world, at_once) as (server, task, http):
        assert (await http.get("/")).text == "answered"
        told_at = time.monotonic()
        server.stop()
        await task
        assert time.monotonic() - told_at < 0.09, "it waited for uvicorn's next look"
        with pytest.raises(httpx.TransportError):
            await http.get("/")


async def test_connections_that_were_silent_for_too_long_are_not_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.3)
    async with served(world, at_once) as (server, task, http):
        # Closed before that, which its peer does not see.
        server.config.timeout_keep_alive = cast("int", 0.1)
        assert (await http.get("/")).text == "answered"
        await asyncio.sleep(0.5)
        assert server.server_state.connections
        told_at = time.monotonic()
        server.stop()
        await task
        assert time.monotonic() - told_at < 1


async def test_an_open_request_is_answered_after_the_server_was_told_to_stop(
    world: World,
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def when_told(request: Request) -> Response:
        begun.set()
        await go_on.wait()
        return await at_once(request)

    async with served(world, when_told) as (server, task, http):
        asked = asyncio.create_task(http.get("/"))
        await begun.wait()
        server.stop()
        await asyncio.sleep(0.05)
        assert not task.done()
        go_on.set()
        assert (await asked).text == "answered"
        answered_at = time.monotonic()
        await task
        assert time.monotonic() - answered_at < 1, "it waited for a peer that does not look"


async def test_a_request_without_end_is_cut_off(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_DRAIN_SECONDS", 0.1)
    begun, cut_off = asyncio.Event(), asyncio.Event()

    async def for_ever(_: Request) -> Response:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cut_off.set()
        raise AssertionError

    async with served(world, for_ever) as (server, task, http):
        asked = asyncio.create_task(http.get("/"))
        await begun.wait()
        server.stop()
        await task
        async with asyncio.timeout(1):
            await cut_off.wait()
        asked.cancel()
