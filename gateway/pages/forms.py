"""Forms that pages post: bounded, each field once."""

import asyncio
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request

_FORM: Final = "application/x-www-form-urlencoded"
_MOST_BYTES: Final = 16_384
_MOST_FIELDS: Final = 32
_READ_SECONDS: Final = 10


class FormRefused(Exception):
    """What was posted is no form of ours; ``status`` is the HTTP status that says so."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status


async def posted(request: Request) -> dict[str, str]:
    """Return the fields of a posted form. Raises FormRefused."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != _FORM:
        raise FormRefused(415)
    body = bytearray()
    try:
        async with asyncio.timeout(_READ_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > _MOST_BYTES:
                    raise FormRefused(413)
    except TimeoutError:
        raise FormRefused(408) from None
    except ClientDisconnect:
        raise FormRefused(400) from None
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise FormRefused(400) from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise FormRefused(400)
    return fields
