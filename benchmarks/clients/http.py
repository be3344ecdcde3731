"""Load generator of the conventional stack's call: HTTP/1.1 over mutual TLS, kept alive.

Written on asyncio streams: the usual HTTP clients cost more than the server they ask.
"""

import asyncio
import random
import ssl

import uvloop

from benchmarks.clients.calling import Call, Measured, serve_rounds
from benchmarks.clients.protocol import Round, read_job
from benchmarks.shape import subject_code
from sdk.request_ids import new_request_id

_LENGTH = b"content-length: "


def _call(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str, subjects: int
) -> Call:
    async def call() -> int:
        subject = subject_code(random.randrange(subjects))
        writer.write(
            f"GET /v1/subjects/{subject}/records?purpose=CREDIT_APPROVAL HTTP/1.1\r\n"
            f"Host: localhost\r\nAuthorization: Bearer {token}\r\n"
            f"X-Request-Id: {new_request_id()}\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise ValueError(head.split(b"\r\n", 1)[0].decode())
        start = head.index(_LENGTH) + len(_LENGTH)
        length = int(head[start : head.index(b"\r", start)])
        return len(await reader.readexactly(length))

    return call


async def _main() -> None:
    job = read_job()
    host, _, port = job.address.rpartition(":")
    tls = ssl.create_default_context(cafile=job.ca)
    tls.load_cert_chain(job.certificate, job.key)
    streams = [
        await asyncio.open_connection(host, int(port), ssl=tls, family=2)
        for _ in range(job.in_flight)
    ]

    def begin(wanted: Round, _measured: Measured) -> list[Call]:
        return [_call(reader, writer, wanted.token, job.subjects) for reader, writer in streams]

    await serve_rounds(job, begin)


if __name__ == "__main__":
    uvloop.run(_main())
