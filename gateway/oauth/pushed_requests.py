"""The store of pushed requests (RFC 9126) and of the interactions that wait for people.

A request_uri is used up where a person decides, not where a page is loaded: programs
that look at links ahead would use it up otherwise (FAPI 2.0 Security Profile, section
5.3.2.2, note 3). Each load begins an interaction of its own; of all that one request
began, one decides.
"""

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, delete, insert, select, update

from gateway.oauth.authorization_request import AuthorizationRequest
from gateway.oauth.grants import insert_code
from gateway.oauth.secret import digest_of, new_secret
from gateway.oauth.tables import INTERACTION, PUSHED_REQUEST
from gateway.oauth.terms import CodeTerms
from gateway.storage.bounded import bounded
from gateway.storage.engines import reading
from gateway.storage.sweeping import Sweeping

REQUEST_SECONDS: Final = 90
"""Life of a request_uri: time for a slow browser to open the link."""

INTERACTION_SECONDS: Final = 600
"""How long a person may take to sign in and decide."""

MOST_LOADS: Final = 16
"""How often one request_uri may be opened: for reloads and programs that look ahead."""

_SWEEP_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class WaitingRequest:
    """A request that a person looks at: begun ``asked_at``, over at ``expires_at``.

    ``request_id`` names the request, whoever looks at it; it was pushed at ``pushed_at``.
    """

    request: AuthorizationRequest
    asked_at: int
    expires_at: int
    pushed_at: int
    request_id: str


class SqlPushedRequests:
    """Calls block. Times are in seconds, UTC."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sweeping = Sweeping(_SWEEP_SECONDS)

    def push(self, request: AuthorizationRequest, now: int) -> str:
        """Keep ``request`` and return the reference to it."""
        reference = new_secret()
        with bounded(self._engine) as connection:
            self._sweep(connection, now)
            connection.execute(
                insert(PUSHED_REQUEST).values(
                    digest=digest_of(reference),
                    client_id=request.client_id,
                    document=request.model_dump_json(),
                    expires_at=now + REQUEST_SECONDS,
                    opened=0,
                    keep_until=now + REQUEST_SECONDS + INTERACTION_SECONDS,
                )
            )
        return reference

    def request(self, reference: str, client_id: str, now: int) -> AuthorizationRequest | None:
        """Return the client's request; None when none of that reference may be opened."""
        query = select(PUSHED_REQUEST.c.document).where(*_open(reference, client_id, now))
        with reading(self._engine) as connection:
            document = connection.execute(query).scalar_one_or_none()
        return None if document is None else AuthorizationRequest.model_validate_json(document)

    def begin(self, reference: str, client_id: str, now: int) -> str | None:
        """Begin an interaction over the client's request and return its id; None as above."""
        interaction_id = new_secret()
        with bounded(self._engine) as connection:
            opened = connection.execute(
                update(PUSHED_REQUEST)
                .where(*_open(reference, client_id, now))
                .values(opened=PUSHED_REQUEST.c.opened + 1)
            ).rowcount
            if not opened:
                return None
            connection.execute(
                insert(INTERACTION).values(
                    digest=digest_of(interaction_id),
                    request_digest=digest_of(reference),
                    asked_at=now,
                    expires_at=now + INTERACTION_SECONDS,
                )
            )
        return interaction_id

    def waiting(self, interaction_id: str, now: int) -> WaitingRequest | None:
        """Return what the interaction is about; None when nothing of that id waits."""
        with reading(self._engine) as connection:
            row = _waiting(connection, interaction_id, now)
        if row is None:
            return None
        request = AuthorizationRequest.model_validate_json(row.document)
        return WaitingRequest(
            request,
            row.asked_at,
            row.expires_at,
            row.open_until - REQUEST_SECONDS,
            urlsafe_b64encode(row.request_digest).rstrip(b"=").decode(),
        )

    def approve(self, interaction_id: str, code: str, terms: CodeTerms, now: int) -> bool:
        """Decide the request and keep the code it gives; False when nothing waits any more."""
        with bounded(self._engine) as connection:
            row = _waiting(connection, interaction_id, now)
            if row is None or not _decided(connection, row.request_digest, now):
                return False
            insert_code(connection, code, row.client_id, terms, now)
        return True

    def deny(self, interaction_id: str, now: int) -> bool:
        """Decide the request without a code; False when nothing waits any more."""
        with bounded(self._engine) as connection:
            row = _waiting(connection, interaction_id, now)
            return row is not None and _decided(connection, row.request_digest, now)

    def _sweep(self, connection: Connection, now: int) -> None:
        if not self._sweeping.due(now):
            return
        connection.execute(delete(INTERACTION).where(INTERACTION.c.expires_at <= now))
        connection.execute(delete(PUSHED_REQUEST).where(PUSHED_REQUEST.c.keep_until <= now))


def _open(reference: str, client_id: str, now: int) -> tuple[Any, ...]:
    row = PUSHED_REQUEST.c
    return (
        row.digest == digest_of(reference),
        row.client_id == client_id,
        row.decided_at.is_(None),
        row.expires_at > now,
        row.opened < MOST_LOADS,
    )


def _waiting(connection: Connection, interaction_id: str, now: int) -> Row[Any] | None:
    return connection.execute(
        select(
            INTERACTION,
            PUSHED_REQUEST.c.client_id,
            PUSHED_REQUEST.c.document,
            PUSHED_REQUEST.c.expires_at.label("open_until"),
        )
        .join_from(
            INTERACTION, PUSHED_REQUEST, INTERACTION.c.request_digest == PUSHED_REQUEST.c.digest
        )
        .where(
            INTERACTION.c.digest == digest_of(interaction_id),
            INTERACTION.c.expires_at > now,
            PUSHED_REQUEST.c.decided_at.is_(None),
        )
    ).first()


def _decided(connection: Connection, request_digest: bytes, now: int) -> bool:
    """Use the request up; return whether this was the first decision."""
    return bool(
        connection.execute(
            update(PUSHED_REQUEST)
            .where(PUSHED_REQUEST.c.digest == request_digest, PUSHED_REQUEST.c.decided_at.is_(None))
            .values(decided_at=now)
        ).rowcount
    )
