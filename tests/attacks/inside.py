"""A running gateway's HTTP application, called in this process as its server calls it.

And its interactions, so that a test can decide what a person would.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp, Message

from gateway.oauth.app import build_app
from gateway.oauth.connection import PEER_CERTIFICATE
from gateway.oauth.context import AuthorizationContext
from gateway.oauth.interactions import Interactions
from gateway.oauth.rfc8693 import SubjectExchange
from gateway.server import web
from tests.attacks.mutations import Sent

_TLS = ("127.0.0.1", 443)
Pages = Callable[[Interactions], Sequence[Route]]


@dataclass(frozen=True)
class Answer:
    """An answer as it was sent."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """Everything the answer says."""
        return f"{self.headers}{self.body.decode(errors='replace')}"


@dataclass
class Inside:
    """What the gateway's parts are known as, once it has built them."""

    app: ASGIApp | None = None
    waiting: Interactions | None = None

    @property
    def interactions(self) -> Interactions:
        """What waits for people."""
        assert self.waiting is not None
        return self.waiting

    async def ask(self, sent: Sent) -> Answer:
        """Return the application's answer. Raises what the application raises."""
        assert self.app is not None
        headers = [(name.lower().encode(), value.encode()) for name, value in sent.headers]
        if sent.body:
            headers.append((b"content-type", sent.content_type.encode()))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": sent.method,
            "scheme": "https",
            "path": sent.path,
            "raw_path": sent.path.encode(),
            "root_path": "",
            "query_string": sent.query_string,
            "headers": headers,
            "server": _TLS,
            "client": _TLS,
            "state": {PEER_CERTIFICATE: sent.certificate},
        }
        messages: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": sent.body, "more_body": False}

        async def send(message: Message) -> None:
            messages.append(message)

        await self.app(scope, receive, send)
        start = messages[0]
        told = {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]}
        return Answer(start["status"], told, b"".join(each.get("body", b"") for each in messages))


@contextmanager
def seen_inside(patch: pytest.MonkeyPatch) -> Generator[Inside]:
    """Keep the parts of the next gateway that is started; it is built and served as always."""
    inside = Inside()

    def build(
        context: AuthorizationContext,
        pages: Pages,
        exchanges: Mapping[str, SubjectExchange],
    ) -> Starlette:
        def seen(interactions: Interactions) -> Sequence[Route]:
            inside.waiting = interactions
            return pages(interactions)

        inside.app = app = build_app(context, seen, exchanges)
        return app

    with patch.context() as patched:
        patched.setattr(web, "build_app", build)
        yield inside
