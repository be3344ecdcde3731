"""Assertions and proofs are used once: a replay cache that every process shares.

RFC 7523 section 3, point 7: the server "MAY ensure that JWTs are not replayed by
maintaining the set of used jti values for the length of time for which the JWT would
be considered valid". Here it always does, durably, so that neither a second process
nor a restart opens a window.
"""

import hashlib
from contextlib import nullcontext
from threading import Lock
from typing import Final, Protocol

from sqlalchemy import Engine, delete, insert
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.oauth.tables import ASSERTION_JTI
from gateway.storage.bounded import bounded
from gateway.storage.sweeping import Sweeping

_SWEEP_SECONDS: Final = 60


class ReplayCache(Protocol):
    """Remembers which assertions were used."""

    def claim(self, client_id: str, jti: str, *, expires_at: int, now: int) -> bool:
        """Take ``jti`` for the first time, and return whether it was the first.

        ``expires_at`` is the second (UTC) from which the assertion is refused anyway.
        """
        ...


class SqlReplayCache:
    """The cache in the database; the primary key decides who was first."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sweeping = Sweeping(_SWEEP_SECONDS)
        # SQLite has who finds it locked sleep for up to 0.1 s, however soon it is free.
        self._turn = Lock() if engine.dialect.name == "sqlite" else nullcontext()

    def claim(self, client_id: str, jti: str, *, expires_at: int, now: int) -> bool:
        """As `ReplayCache.claim`.

        Raises Refused TEMPORARILY_UNAVAILABLE when the store cannot be asked: an
        assertion that may have been used is not accepted.
        """
        digest = hashlib.sha256(jti.encode()).digest()
        try:
            if self._sweeping.due(now):
                self.sweep(now)
            with self._turn, bounded(self._engine) as connection:
                connection.execute(
                    insert(ASSERTION_JTI).values(
                        client_id=client_id, jti_digest=digest, expires_at=expires_at
                    )
                )
        except IntegrityError:
            return False
        except (DBAPIError, PoolTimeout) as error:
            raise Refused(
                RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE,
                "The store of used assertions cannot be reached; try again.",
                retry_after=1,
            ) from error
        return True

    def sweep(self, now: int) -> int:
        """Forget what expired before ``now`` and return how many."""
        with bounded(self._engine) as connection:
            return connection.execute(
                delete(ASSERTION_JTI).where(ASSERTION_JTI.c.expires_at < now)
            ).rowcount
