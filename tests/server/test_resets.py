"""Calls that a connection opens and resets at once, as fast as it can, hurt nobody else: the server
refuses them unread (as for CVE-2023-44487), and its memory stays as it is."""

import asyncio
import ssl
import struct
import time
from urllib.parse import urlsplit

import psutil
import pytest

from sdk.credentials import Credentials
from tests.installation import OPERATOR_CLIENT, Installation, company
from tests.server.calls import query

METHOD = "/creditgate.v1.CreditRecordService/GetSubjectRecords"
SECONDS = 2.0
MOST_BYTES = 100 << 20
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING = 0, 1, 3, 4, 6
_ACK = _END_STREAM = 1
_END_HEADERS = 4
_CANCEL = struct.pack(">I", 8)


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a frame (RFC 9113, section 4.1)."""
    return (
        struct.pack(">I", len(payload))[1:]
        + bytes((kind, flags))
        + struct.pack(">I", stream)
        + payload
    )


def field(name: str, value: str) -> bytes:
    """Return a header field that is indexed nowhere (RFC 7541, section 6.2.2)."""
    return b"".join((b"\0", *(bytes((len(text),)) + text.encode() for text in (name, value))))


async def answer_frames(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Acknowledge what the server wants acknowledged: it takes more of who does."""
    while True:
        head = await reader.readexactly(9)
        payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
        if head[3] in (_SETTINGS, _PING) and not head[4] & _ACK:
            writer.write(frame(head[3], _ACK, 0, payload if head[3] == _PING else b""))


async def reset_in_a_row(credentials: Credentials, seconds: float) -> int:
    """Open calls without a token, reset each at once, and return how many."""
    tls = ssl.create_default_context(cafile=credentials.ca)
    tls.load_cert_chain(credentials.certificate, credentials.key)
    tls.set_alpn_protocols(["h2"])
    place = urlsplit(f"//{credentials.grpc}")
    reader, writer = await asyncio.open_connection(place.hostname, place.port, ssl=tls)
    writer.write(_PREFACE + frame(_SETTINGS, 0, 0))
    answering = asyncio.create_task(answer_frames(reader, writer))
    headers = b"".join(
        field(*each)
        for each in (
            (":method", "POST"),
            (":scheme", "https"),
            (":path", METHOD),
            (":authority", "localhost"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
        )
    )
    await asyncio.sleep(0.3)
    opened, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        for stream in range(2 * opened + 1, 2 * opened + 101, 2):
            writer.write(
                frame(_HEADERS, _END_HEADERS, stream, headers)
                + frame(_DATA, _END_STREAM, stream, bytes(5))
                + frame(_RESET, 0, stream, _CANCEL)
            )
        opened += 50
        await writer.drain()
        await asyncio.sleep(0)
    answering.cancel()
    writer.close()
    return opened


@pytest.mark.asyncio
async def test_calls_reset_in_a_row_leave_memory_and_others_as_they_are(
    embedded: Installation,
) -> None:
    async with embedded.program() as program, program.gateway.channel() as channel:
        await query(channel, company(0))
        server = psutil.Process(program.process.pid)
        before = server.memory_info().rss
        credentials = program.gateway.credentials(OPERATOR_CLIENT)
        flood = asyncio.create_task(reset_in_a_row(credentials, SECONDS))
        while not flood.done():
            await query(channel, company(0))
            await asyncio.sleep(0.1)
        assert await flood > 5_000
        assert server.memory_info().rss - before < MOST_BYTES
