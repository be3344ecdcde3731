"""The loopback redirect: a server on this machine that waits for one browser's answer.

RFC 8252 section 8.3: open only while it waits, and only on the loopback address.
"""

import hmac
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

HOST: Final = "127.0.0.1"
_MOST_SECONDS_A_REQUEST: Final = 5
_PAGE: Final = """<!doctype html>
<html lang="zh-Hans"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>creditgate</title>
<h1>{zh}</h1><p lang="en">{en}</p></html>
"""
_TAKEN: Final = _PAGE.format(
    zh="可以关闭此页，回到命令行。", en="You can close this page and go back to the command line."
)
_STRANGE: Final = _PAGE.format(
    zh="这不是命令行在等的答复。", en="This is not the answer the command line waits for."
)


class Loopback:
    """Where the browser comes back to; ``redirect_uri`` is registered for the client."""

    def __init__(self, server: HTTPServer, redirect_uri: str) -> None:
        self._server = server
        self.redirect_uri = redirect_uri
        self._state = ""
        self._answer: dict[str, str] | None = None
        self._answered = threading.Event()

    def wait(self, state: str, seconds: float) -> dict[str, str] | None:
        """Return the parameters of the answer with that ``state``; None when none came.

        Whatever else arrives, other programs' requests or another state, is turned away.
        """
        self._state = state
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            self._answered.wait(seconds)
        finally:
            self._server.shutdown()
            thread.join()
        return self._answer

    def take(self, target: str) -> bool:
        """Take a request for ``target`` if it is the answer, once."""
        parts = urlsplit(target)
        query = parse_qs(parts.query, keep_blank_values=True)
        answer = {name: values[0] for name, values in query.items() if len(values) == 1}
        mine = (
            parts.path == urlsplit(self.redirect_uri).path
            and self._state != ""
            and hmac.compare_digest(
                answer.get("state", "").encode("utf-8", "replace"), self._state.encode()
            )
        )
        if not mine or self._answer is not None:
            return False
        self._answer = answer
        self._answered.set()
        return True


@contextmanager
def listening(redirect_uri: str) -> Generator[Loopback]:
    """Listen where ``redirect_uri`` (http, 127.0.0.1, a port) says. Raises OSError."""

    class Handler(BaseHTTPRequestHandler):
        timeout = _MOST_SECONDS_A_REQUEST

        def do_GET(self) -> None:  # the name http.server looks for
            taken = loopback.take(self.path)
            body = (_TAKEN if taken else _STRANGE).encode()
            self.send_response(200 if taken else 404)
            for name, value in (
                ("Content-Type", "text/html; charset=utf-8"),
                ("Content-Length", str(len(body))),
                ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
                ("Cache-Control", "no-store"),
                ("Referrer-Policy", "no-referrer"),
            ):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name there
            # The address holds the code.
            del format, args

    class Server(HTTPServer):
        address_family = socket.AF_INET

    with Server((HOST, urlsplit(redirect_uri).port or 0), Handler) as server:
        loopback = Loopback(server, redirect_uri)
        yield loopback
