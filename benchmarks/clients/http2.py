"""Unary gRPC calls over HTTP/2, in so few instructions that the server is what is measured.

The load generators on grpc.aio take half as much of a core as the gateway, on the same machine.
This one keeps calls in flight on one connection, one thread and no event loop: a tenth of that. It
knows of HTTP/2 (RFC 9113) and HPACK (RFC 7541) what calls of one shape take, reads no header, and
takes an answer without data for a failed one.
"""

import ssl
import struct
from collections.abc import Callable, Sequence
from select import select
from socket import IPPROTO_TCP, TCP_NODELAY, create_connection
from time import perf_counter
from typing import Final, NamedTuple

from benchmarks.clients.protocol import Job

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_END_STREAM: Final = 1
_END_HEADERS: Final = 4
_ACK: Final = 1
_FRAME_HEAD: Final = 9
_WIDEST: Final = (1 << 31) - 1
_FIRST_WINDOW: Final = 65_535
_INITIAL_WINDOW_SIZE: Final = 4
_WIDEN_AFTER: Final = 1 << 30
# Places 1 to 61 are the static table's (RFC 7541, appendix A).
_FIRST_OF_TABLE: Final = 62
_AT_ONCE: Final = 1 << 18
_SENDING_SECONDS: Final = 10.0


class Answered(NamedTuple):
    """An answer: its bytes, without frames, and when its call was sent, by `perf_counter`."""

    size: int
    sent_at: float


class Connection:
    """One connection to the server over mutual TLS, which calls one method.

    ``request`` gives the message of each call, of at most 16,000 bytes. Raises ConnectionError when the server ends it, and
    ValueError when a call failed.
    """

    def __init__(self, job: Job, method: str, request: Callable[[], bytes]) -> None:
        host, _, port = job.address.rpartition(":")
        tls = ssl.create_default_context(cafile=job.ca)
        tls.load_cert_chain(job.certificate, job.key)
        tls.set_alpn_protocols(["h2"])
        plain = create_connection((host, int(port)))
        plain.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        self._socket = tls.wrap_socket(plain, server_hostname=host)
        self._socket.setblocking(False)
        self._method = method
        self._authority = job.address
        self._request = request
        self._headers = self._known = b""
        self._unread = b""
        self._unsent = bytearray(_PREFACE)
        self._unsent += _frame(_SETTINGS, 0, 0, struct.pack(">HI", _INITIAL_WINDOW_SIZE, _WIDEST))
        self._unsent += _frame(_WINDOW, 0, 0, struct.pack(">I", _WIDEST - _FIRST_WINDOW))
        self._read = 0
        self._may_send = _FIRST_WINDOW
        self._next_stream = 1
        self._open: dict[int, tuple[float, int]] = {}

    def fileno(self) -> int:
        """Return what to wait at until there is something to read."""
        return self._socket.fileno()

    @property
    def in_flight(self) -> int:
        """How many calls are not answered yet."""
        return len(self._open)

    def show(self, token: str) -> None:
        """Call with this access token from now on."""
        values = (
            (":method", "POST"),
            (":scheme", "https"),
            (":path", self._method),
            (":authority", self._authority),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("authorization", f"Bearer {token}"),
        )
        # Said in full once; later calls say where that stands in the connection's table.
        self._headers = b"".join(_kept(name, value) for name, value in values)
        self._known = bytes(
            0x80 | (_FIRST_OF_TABLE + place) for place in reversed(range(len(values)))
        )

    def call(self, now: float) -> None:
        """Make one call, which goes out with `send`."""
        message = self._request()
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        headers, self._headers = self._headers or self._known, b""
        self._unsent += _frame(_HEADERS, _END_HEADERS, stream, headers)
        body = b"\0" + len(message).to_bytes(4, "big") + message
        self._unsent += _frame(_DATA, _END_STREAM, stream, body)
        self._may_send -= len(body)
        if self._may_send < 0:
            raise ValueError("the server takes no more requests on this connection")
        self._open[stream] = (now, 0)

    def send(self) -> None:
        """Send what has been gathered."""
        while self._unsent:
            try:
                del self._unsent[: self._socket.send(self._unsent)]
            except ssl.SSLWantWriteError:
                select((), (self._socket,), (), _SENDING_SECONDS)

    def answers(self) -> list[Answered]:
        """Return the answers that have come."""
        parts = [self._unread]
        try:
            while True:
                part = self._socket.recv(_AT_ONCE)
                if not part:
                    raise ConnectionError("the server ended the connection")
                parts.append(part)
        except ssl.SSLWantReadError:
            pass
        return self._taken(b"".join(parts))

    def _taken(self, data: bytes) -> list[Answered]:
        answered: list[Answered] = []
        at, end = 0, len(data)
        while at + _FRAME_HEAD <= end:
            length = int.from_bytes(data[at : at + 3], "big")
            start = at + _FRAME_HEAD
            if start + length > end:
                break
            kind, flags = data[at + 3], data[at + 4]
            stream = int.from_bytes(data[at + 5 : start], "big")
            if kind == _DATA:
                sent_at, size = self._open[stream]
                self._open[stream] = (sent_at, size + length)
                self._read += length
            elif kind == _HEADERS and flags & _END_STREAM:
                sent_at, size = self._open.pop(stream)
                answered.append(Answered(size, sent_at))
            elif kind not in (_HEADERS, _DATA):
                self._heed(kind, flags, data[start : start + length], stream)
            at = start + length
        self._unread = data[at:]
        return answered

    def _heed(self, kind: int, flags: int, payload: bytes, stream: int) -> None:
        if kind in (_SETTINGS, _PING) and not flags & _ACK:
            self._unsent += _frame(kind, _ACK, 0, payload if kind == _PING else b"")
        elif kind == _WINDOW and stream == 0:
            self._may_send += int.from_bytes(payload, "big")
        elif kind in (_RESET, _GOAWAY):
            raise ValueError(f"the server broke off: frame {kind}, {payload[:8].hex()}")
        if self._read > _WIDEN_AFTER:
            self._unsent += _frame(_WINDOW, 0, 0, struct.pack(">I", self._read))
            self._read = 0

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def keep_calling(
    connections: Sequence[Connection], in_flight: int, seconds: float
) -> list[tuple[int, float]]:
    """Keep so many calls in flight on each connection for so long, then wait for what is not
    answered yet; return the bytes of each answer and the seconds it took."""
    began = perf_counter()
    deadline = began + seconds
    seen: list[tuple[int, float]] = []
    for connection in connections:
        for _ in range(in_flight):
            connection.call(began)
        connection.send()
    while any(connection.in_flight for connection in connections):
        ready, _, _ = select(connections, (), ())
        for connection in ready:
            answered = connection.answers()
            now = perf_counter()
            for answer in answered:
                seen.append((answer.size, now - answer.sent_at))
                if now < deadline:
                    connection.call(now)
            connection.send()
    return seen


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">IBI", len(payload) << 8 | kind, flags, stream) + payload


def _kept(name: str, value: str) -> bytes:
    """Return a header said in full, which the server keeps (RFC 7541, section 6.2.1)."""
    return b"\x40" + _text(name) + _text(value)


def _text(value: str) -> bytes:
    """Return a string literal without Huffman coding (RFC 7541, sections 5.1 and 5.2)."""
    raw = value.encode()
    length = len(raw)
    if length < 0x7F:
        return bytes((length,)) + raw
    said, left = bytearray(b"\x7f"), length - 0x7F
    while left >= 0x80:
        said.append(0x80 | (left & 0x7F))
        left >>= 7
    said.append(left)
    return bytes(said) + raw
