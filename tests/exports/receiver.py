"""A receiver of CloudEvents that listens on loopback."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


@dataclass
class Receiver:
    """Takes batches with ``statuses`` in turn, then with 204."""

    statuses: list[int] = field(default_factory=list[int])
    batches: list[list[Any]] = field(default_factory=list[list[Any]])
    headers: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    url: str = ""


@contextmanager
def receiving() -> Generator[Receiver]:
    """Give a receiver while the context lasts."""
    own = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            own.headers.append(dict(self.headers))
            status = own.statuses.pop(0) if own.statuses else 204
            if status == 204:
                own.batches.append(json.loads(body))
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    own.url = f"http://127.0.0.1:{server.server_address[1]}/api/v1/events"
    Thread(target=server.serve_forever, args=(0.01,)).start()
    yield own
    server.shutdown()
    server.server_close()
