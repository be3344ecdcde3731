"""Fetching what other entities sign, over HTTPS, within limits of time and size."""

import ssl
from collections.abc import Mapping
from typing import Final

import httpx

from gateway.federation.trust.statement import MOST_CHARACTERS, StatementInvalid

_CONNECT_SECONDS: Final = 3.0
_READ_SECONDS: Final = 5.0
_OK: Final = 200


def trusting(roots: str | None) -> ssl.SSLContext:
    """Return TLS settings that trust the CAs in ``roots`` (PEM), the system's where None.

    Raises ssl.SSLError, ValueError where ``roots`` holds no certificate.
    """
    context = ssl.create_default_context(cadata=roots)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def fetched(client: httpx.Client, url: str, query: Mapping[str, str] | None = None) -> str:
    """Return what is at ``url``. Blocks.

    Raises StatementInvalid for what is no answer or too long, httpx.HTTPError.
    """
    with client.stream("GET", url, params=query) as response:
        _require_ok(response)
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            _require_short(body)
    return _text(bytes(body))


async def fetched_later(
    client: httpx.AsyncClient, url: str, query: Mapping[str, str], wait_seconds: float
) -> str:
    """Return what is at ``url``, which may hold the question open for ``wait_seconds``.

    Raises as `fetched`.
    """
    timeout = httpx.Timeout(_READ_SECONDS + wait_seconds, connect=_CONNECT_SECONDS)
    async with client.stream("GET", url, params=query, timeout=timeout) as response:
        _require_ok(response)
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            _require_short(body)
    return _text(bytes(body))


def blocking_client(roots: str | None) -> httpx.Client:
    """Return a client for `fetched` that follows nobody elsewhere."""
    timeout = httpx.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS)
    return httpx.Client(verify=trusting(roots), timeout=timeout, trust_env=False)


def waiting_client(roots: str | None) -> httpx.AsyncClient:
    """Return a client for `fetched_later` that follows nobody elsewhere."""
    return httpx.AsyncClient(verify=trusting(roots), trust_env=False)


def _require_ok(response: httpx.Response) -> None:
    """Raise StatementInvalid for any answer but 200."""
    if response.status_code != _OK:
        raise StatementInvalid(f"the entity answered {response.status_code}")


def _require_short(body: bytes | bytearray) -> None:
    """Raise StatementInvalid for what is longer than anything that is signed here."""
    if len(body) > MOST_CHARACTERS:
        raise StatementInvalid("the answer is too long")


def _text(body: bytes) -> str:
    try:
        return body.decode("ascii").strip()
    except UnicodeDecodeError:
        raise StatementInvalid("the answer is no signed text") from None
