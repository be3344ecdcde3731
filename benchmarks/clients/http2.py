"""Unary gRPC calls over HTTP/2, in so few instructions that the server is what is measured.

The load generators on grpc.aio take half as much of a core as the gateway, on the same machine.
This one takes a twentieth: it keeps calls in flight on one thread and no event loop, looks at its
connections every few milliseconds, and takes then what has gathered, in one read of the socket.
It knows of HTTP/2 (RFC 9113) and HPACK (RFC 7541) what calls of one shape take, and reads no header:
a refused call is one answered by no message.
"""

import ssl
import struct
from collections.abc import Iterator, Sequence
from datetime import timedelta
from select import POLLIN, poll, select
from socket import IPPROTO_TCP, TCP_NODELAY, create_connection
from time import perf_counter, sleep
from typing import Final, NamedTuple

from benchmarks.clients.protocol import Job

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_END_STREAM: Final = 1
_END_HEADERS: Final = 4
_ACK: Final = 1
_HEAD: Final = struct.Struct(">HBBBI")
"""A frame's head: the upper 16 bits and the lower 8 of its length, its kind, flags and stream."""
_WIDEST: Final = (1 << 31) - 1
_FIRST_WINDOW: Final = 65_535
_INITIAL_WINDOW_SIZE: Final = 4
_WIDEN_AFTER: Final = 1 << 30
# Places 1 to 61 are the static table's (RFC 7541, appendix A).
_FIRST_OF_TABLE: Final = 62
# Before a message stand whether it is compressed, and its length.
_PREFIX_BYTES: Final = 5
_AT_ONCE: Final = 1 << 18
_SENDING_SECONDS: Final = 10.0
# A small part of what a call waits for under full load.
_BEAT_SECONDS: Final = timedelta(milliseconds=2).total_seconds()


class Answered(NamedTuple):
    """An answer: its message's bytes, none for a refused call, and when it was sent, by
    `perf_counter`."""

    size: int
    sent_at: float


class Connection:
    """One connection to the server over mutual TLS, which calls one method and shows one token.

    Raises ConnectionError when the server ends it, and ValueError when a call failed.
    """

    def __init__(self, job: Job, method: str, token: str) -> None:
        host, _, port = job.address.rpartition(":")
        tls = ssl.create_default_context(cafile=job.ca)
        tls.load_cert_chain(job.certificate, job.key)
        tls.set_alpn_protocols(["h2"])
        self._socket = create_connection((host, int(port)))
        self._socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        # By itself TLS would read each record's head and body apart from the socket.
        self._come, self._gone = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = tls.wrap_bio(self._come, self._gone, server_hostname=host)
        self._shake_hands()
        self._socket.setblocking(False)
        values = (
            (":method", "POST"),
            (":scheme", "https"),
            (":path", method),
            (":authority", job.address),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("authorization", f"Bearer {token}"),
        )
        # Said in full once; later calls say where that stands in the connection's table.
        self._headers = b"".join(_kept(name, value) for name, value in values)
        self._known = bytes(
            0x80 | (_FIRST_OF_TABLE + place) for place in reversed(range(len(values)))
        )
        self._unread = b""
        self._unsent = [
            _PREFACE,
            _frame(_SETTINGS, 0, 0, struct.pack(">HI", _INITIAL_WINDOW_SIZE, _WIDEST)),
            _frame(_WINDOW, 0, 0, struct.pack(">I", _WIDEST - _FIRST_WINDOW)),
        ]
        self._read = 0
        self._may_send = _FIRST_WINDOW
        self._next_stream = 1
        self._sent_at: dict[int, float] = {}
        self._sizes: dict[int, int] = {}
        self._met = False
        self._meet()

    def _shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._socket.sendall(self._gone.read())
                self._come.write(self._socket.recv(_AT_ONCE))
            else:
                return

    def _meet(self) -> None:
        """Tell settings and take note of the server's: it waits some seconds for both."""
        self.send()
        while not self._met:
            select((self._socket,), (), ())
            self.answers()
        self.send()

    def fileno(self) -> int:
        """Return what to wait at until there is something to read."""
        return self._socket.fileno()

    @property
    def in_flight(self) -> int:
        """How many calls are not answered yet."""
        return len(self._sent_at)

    def call(self, message: bytes, now: float) -> None:
        """Make one call with a message of at most 16,000 bytes; it goes out with `send`."""
        stream = self._next_stream
        self._next_stream = stream + 2
        headers, self._headers = self._headers, self._known
        size = len(message)
        framed = size + _PREFIX_BYTES
        self._unsent += (
            _frame(_HEADERS, _END_HEADERS, stream, headers),
            _HEAD.pack(framed >> 8, framed & 0xFF, _DATA, _END_STREAM, stream),
            b"\0" + size.to_bytes(4, "big"),
            message,
        )
        self._may_send -= framed
        if self._may_send < 0:
            raise ValueError("the server takes no more requests on this connection")
        self._sent_at[stream] = now

    def send(self) -> None:
        """Send what has been gathered."""
        if self._unsent:
            self._tls.write(b"".join(self._unsent))
            self._unsent.clear()
        left = self._gone.read()
        while left:
            try:
                left = left[self._socket.send(left) :]
            except BlockingIOError:
                select((), (self._socket,), (), _SENDING_SECONDS)

    def answers(self) -> list[Answered]:
        """Return the answers that have come."""
        come = self._socket.recv(_AT_ONCE)
        if not come:
            raise ConnectionError("the server ended the connection")
        self._come.write(come)
        parts = [self._unread]
        try:
            while part := self._tls.read(_AT_ONCE):
                parts.append(part)
        except ssl.SSLWantReadError:
            pass
        return self._taken(b"".join(parts))

    def _taken(self, data: bytes) -> list[Answered]:
        answered: list[Answered] = []
        sizes = self._sizes
        at, end = 0, len(data)
        while (start := at + _HEAD.size) <= end:
            upper, lower, kind, flags, stream = _HEAD.unpack_from(data, at)
            length = upper << 8 | lower
            if start + length > end:
                break
            if kind == _DATA:
                sizes[stream] = sizes.get(stream, 0) + length
                self._read += length
            elif kind == _HEADERS:
                if flags & _END_STREAM:
                    size = max(0, sizes.pop(stream, 0) - _PREFIX_BYTES)
                    answered.append(Answered(size, self._sent_at.pop(stream)))
            else:
                self._heed(kind, flags, data[start : start + length], stream)
            at = start + length
        self._unread = data[at:]
        return answered

    def _heed(self, kind: int, flags: int, payload: bytes, stream: int) -> None:
        if kind in (_SETTINGS, _PING) and not flags & _ACK:
            self._met = True
            self._unsent.append(_frame(kind, _ACK, 0, payload if kind == _PING else b""))
        elif kind == _WINDOW and stream == 0:
            self._may_send += int.from_bytes(payload, "big")
        elif kind in (_RESET, _GOAWAY):
            raise ValueError(f"the server broke off: frame {kind}, {payload!r}")
        if self._read > _WIDEN_AFTER:
            self._unsent.append(_frame(_WINDOW, 0, 0, struct.pack(">I", self._read)))
            self._read = 0

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def keep_calling(
    connections: Sequence[Connection], messages: Iterator[bytes], in_flight: int, seconds: float
) -> list[tuple[int, float]]:
    """Keep so many calls in flight on each connection for so long, one for each of ``messages``,
    which do not end; then wait for what is not answered yet. Return the bytes of each answer and
    the seconds it took."""
    began = perf_counter()
    deadline = began + seconds
    seen: list[tuple[int, float]] = []
    waiting = poll()
    places = {connection.fileno(): connection for connection in connections}
    for connection in connections:
        waiting.register(connection, POLLIN)
        for _ in range(in_flight):
            connection.call(next(messages), began)
        connection.send()
    while any(connection.in_flight for connection in connections):
        sleep(_BEAT_SECONDS)
        for place, _ in waiting.poll():
            connection = places[place]
            answered = connection.answers()
            now = perf_counter()
            for answer in answered:
                seen.append((answer.size, now - answer.sent_at))
                if now < deadline:
                    connection.call(next(messages), now)
            connection.send()
    return seen


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    length = len(payload)
    return _HEAD.pack(length >> 8, length & 0xFF, kind, flags, stream) + payload


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
