"""The desk of signing in: cookies, attempts and the provider put together, for pages."""

import asyncio
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from gateway.signin.attempts import Attempts
from gateway.signin.identity import Identity
from gateway.signin.provider import SignInFailed
from gateway.signin.relying_party import RelyingParty
from gateway.signin.sessions import COOKIE, Browser, Sessions

CALLBACK_PATH = "/signin/callback"
"""Where the provider sends browsers back to."""


class SignInDesk:
    """Signs people in in their browsers; one event loop's own."""

    def __init__(self, sessions: Sessions, attempts: Attempts, party: RelyingParty) -> None:
        self._sessions = sessions
        self._attempts = attempts
        self._party = party

    async def browser(self, request: Request) -> Browser:
        """Return the browser a request came from, with who is signed in there."""
        return await asyncio.to_thread(self._sessions.browser, request.cookies.get(COOKIE))

    async def begin(
        self,
        browser: Browser,
        *,
        max_age: int,
        strong: bool,
        again: bool,
        return_to: str,
        language: str,
    ) -> str:
        """Return where to send ``browser`` to sign in, and afterwards to ``return_to``.

        ``max_age`` (seconds) is how old a sign-in at the provider may be, ``strong`` asks
        for more than one factor, ``again`` to sign in whoever is signed in there. Raises
        SignInFailed.
        """
        attempt = await asyncio.to_thread(
            self._attempts.begin, browser, max_age=max_age, return_to=return_to
        )
        return await self._party.sign_in_url(attempt, strong=strong, again=again, language=language)

    async def finish(self, browser: Browser, answer: Mapping[str, str]) -> tuple[Browser, str]:
        """Return (browser signed in, where it goes to) from the provider's answer.

        Raises SignInFailed, also for an answer that ``browser`` did not ask for.
        """
        attempt = await asyncio.to_thread(self._attempts.take, browser, answer.get("state", ""))
        if attempt is None:
            raise SignInFailed("not-ours", "no sign-in of this browser waits for the answer")
        identity = await self._party.identity(attempt, answer)
        signed_in = await asyncio.to_thread(self._sessions.sign_in, browser, identity)
        return signed_in, attempt.return_to

    async def sign_out(self, browser: Browser) -> None:
        """End the session of ``browser``."""
        await asyncio.to_thread(self._sessions.sign_out, browser)

    async def sign_out_everywhere(self, identity: Identity) -> None:
        """End all sessions of the person that ``identity`` is."""
        await asyncio.to_thread(self._sessions.sign_out_everywhere, identity)


def remember(response: Response, browser: Browser) -> Response:
    """Give ``browser`` its cookie with ``response``, and return that."""
    response.set_cookie(
        COOKIE, browser.secret, path="/", secure=True, httponly=True, samesite="lax"
    )
    return response


def forget(response: Response) -> Response:
    """Take the browser's cookie away with ``response``, and return that."""
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")
    return response
