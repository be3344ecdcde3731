"""Questions that wait for news (long polling), at the side that answers.

Whoever asks names what it knows already; the answer comes as soon as there is something
newer, and otherwise after the wait asked for, freshly signed: that too is news, since it
tells that nothing changed. Used for the anchor's news and for status lists.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.federation.trust.news import MOST_WAIT_SECONDS

_LOOK_SECONDS: Final = 0.05
_MOST_WAITING: Final = 256
_MOST_OF_ONE: Final = 16


class Waiting:
    """Holds questions open until there is news; one event loop's own.

    ``number`` gives the number of the newest, ``text`` the newest, signed. Past
    `_MOST_WAITING` questions, and past `_MOST_OF_ONE` of one address, they are answered at
    once: who waits holds a connection, and must leave some to others.
    """

    def __init__(self, number: Callable[[], int], text: Callable[[], str], media_type: str) -> None:
        self._number = number
        self._text = text
        self._media_type = media_type
        self._waiting: Counter[str] = Counter()
        self._ended = False

    def end(self) -> None:
        """Answer all questions at once from now on."""
        self._ended = True

    async def answer(self, request: Request) -> Response:
        """Answer a question with parameters ``after`` (number known) and ``wait`` (seconds)."""
        after = _whole(request.query_params.get("after", "-1"), -1, 1 << 53)
        wait = _whole(request.query_params.get("wait", "0"), 0, MOST_WAIT_SECONDS)
        if after is None or wait is None:
            return federation_error(
                400, "invalid_request", f"after is a number, wait 0 to {MOST_WAIT_SECONDS} seconds"
            )
        who = "" if request.client is None else request.client.host
        waiting = self._waiting
        if waiting.total() < _MOST_WAITING and waiting[who] < _MOST_OF_ONE:
            waiting[who] += 1
            try:
                await self._until_newer(after, time.monotonic() + wait)
            finally:
                waiting[who] -= 1
                if not waiting[who]:
                    del waiting[who]
        return Response(
            self._text(), media_type=self._media_type, headers={"Cache-Control": "no-store"}
        )

    async def _until_newer(self, after: int, until: float) -> None:
        # A restored older copy shows a smaller number: that too is to be told at once.
        # What is waited for may be another process's write, of which no event tells.
        while not self._ended and self._number() == after and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_SECONDS)


def federation_error(status: int, code: str, description: str) -> Response:
    """Return an error as OpenID Federation 1.0 has it, section 8.9."""
    body = {"error": code, "error_description": description}
    return JSONResponse(body, status, headers={"Cache-Control": "no-store"})


def _whole(text: str, least: int, most: int) -> int | None:
    try:
        number = int(text)
    except ValueError:
        return None
    return number if least <= number <= most else None
