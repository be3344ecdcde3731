"""Load generator of the token endpoint: client_credentials with ES256 assertions.

HTTP/1.1 over mutual TLS, kept alive, on asyncio streams as in `benchmarks.clients.http`;
each request has an assertion of its own.
"""

import asyncio
import secrets
import ssl
import sys
import time
from urllib.parse import urlencode, urlsplit

import uvloop

from benchmarks.clients.calling import Call, Measured, serve_rounds
from benchmarks.clients.protocol import Round, TokenJob
from sdk.signing import SigningKey

_LENGTH = b"content-length: "
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def _form(job: TokenJob, key: SigningKey) -> bytes:
    now = int(time.time())
    claims = {
        "iss": job.client_id,
        "sub": job.client_id,
        "aud": job.issuer,
        "jti": secrets.token_urlsafe(16),
        "iat": now,
        "exp": now + 60,
    }
    fields = {
        "grant_type": "client_credentials",
        "client_assertion_type": _ASSERTION_TYPE,
        "client_assertion": key.sign(claims),
    }
    return urlencode(fields).encode()


def _call(
    job: TokenJob, key: SigningKey, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Call:
    async def call() -> int:
        form = _form(job, key)
        writer.write(
            b"POST /oauth/token HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(form), form)
        )
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise ValueError(head.split(b"\r\n", 1)[0].decode())
        start = head.lower().index(_LENGTH) + len(_LENGTH)
        return len(await reader.readexactly(int(head[start : head.index(b"\r", start)])))

    return call


async def _main() -> None:
    job = TokenJob.model_validate_json(sys.stdin.readline())
    key = SigningKey.read(job.signing_key.read_bytes())
    issuer = urlsplit(job.issuer)
    tls = ssl.create_default_context(cafile=job.ca)
    tls.load_cert_chain(job.certificate, job.key)
    streams = [
        await asyncio.open_connection(issuer.hostname, issuer.port, ssl=tls)
        for _ in range(job.in_flight)
    ]

    def begin(_wanted: Round, _measured: Measured) -> list[Call]:
        return [_call(job, key, reader, writer) for reader, writer in streams]

    await serve_rounds(job, begin)


if __name__ == "__main__":
    uvloop.run(_main())
