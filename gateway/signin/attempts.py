"""Attempts: sign-ins under way, each good for one answer in the browser that began it."""

import secrets
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine, delete, insert, select

from gateway.clock import Clock
from gateway.signin.sessions import Browser, digest_of
from gateway.signin.tables import ATTEMPT
from gateway.storage.bounded import bounded

LIFE_SECONDS: Final = 600
MOST_FOR_ONE_PLACE: Final = 32
"""Attempts kept that lead back to one place; the oldest make room."""

_SECRET_BYTES: Final = 32
_MOST_STATE: Final = 64


@dataclass(frozen=True, slots=True)
class Attempt:
    """A sign-in under way.

    ``state``, ``nonce`` and ``code_verifier`` (RFC 7636) are 256 random bits each;
    ``max_age`` is how old, in seconds, a sign-in at the provider may be; ``return_to`` the
    path of our own that the browser goes to afterwards; ``started_at`` in UTC seconds.
    """

    state: str
    nonce: str
    code_verifier: str
    max_age: int
    return_to: str
    started_at: int


class Attempts:
    """Attempts in the database. Calls block."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def begin(self, browser: Browser, *, max_age: int, return_to: str) -> Attempt:
        """Begin one for ``browser``."""
        attempt = Attempt(
            state=secrets.token_urlsafe(_SECRET_BYTES),
            nonce=secrets.token_urlsafe(_SECRET_BYTES),
            code_verifier=secrets.token_urlsafe(_SECRET_BYTES),
            max_age=max_age,
            return_to=return_to,
            started_at=self._clock.now(),
        )
        with bounded(self._engine) as connection:
            connection.execute(
                delete(ATTEMPT).where(ATTEMPT.c.started_at <= attempt.started_at - LIFE_SECONDS)
            )
            # A link can be opened again and again, each time by another browser.
            kept = (
                select(ATTEMPT.c.state_digest)
                .where(ATTEMPT.c.return_to == return_to)
                .order_by(ATTEMPT.c.started_at.desc())
                .limit(MOST_FOR_ONE_PLACE - 1)
            )
            connection.execute(
                delete(ATTEMPT).where(
                    ATTEMPT.c.return_to == return_to, ATTEMPT.c.state_digest.not_in(kept)
                )
            )
            connection.execute(
                insert(ATTEMPT).values(
                    state_digest=digest_of(attempt.state),
                    browser_digest=browser.digest,
                    nonce=attempt.nonce,
                    code_verifier=attempt.code_verifier,
                    max_age=max_age,
                    return_to=return_to,
                    started_at=attempt.started_at,
                )
            )
        return attempt

    def take(self, browser: Browser, state: str) -> Attempt | None:
        """Return the attempt of that ``state``, once; None unless ``browser`` began it.

        RFC 6749 section 10.12: an answer that another browser asked for would sign this
        one in as somebody else.
        """
        if not 0 < len(state) <= _MOST_STATE or not state.isascii():
            return None
        mine = (ATTEMPT.c.state_digest == digest_of(state)) & (
            ATTEMPT.c.browser_digest == browser.digest
        )
        with bounded(self._engine) as connection:
            row = connection.execute(select(ATTEMPT).where(mine)).one_or_none()
            taken = connection.execute(delete(ATTEMPT).where(mine)).rowcount
        if row is None or not taken or self._clock.now() >= row.started_at + LIFE_SECONDS:
            return None
        return Attempt(
            state, row.nonce, row.code_verifier, row.max_age, row.return_to, row.started_at
        )
