"""Refresh tokens: which of them may be used, and how one takes another's place.

In normal running a token stays the same for as long as its grant stands: FAPI 2.0
Security Profile, section 5.3.2.1, point 10 forbids rotation, since tokens are bound to
their client anyway. After an incident each may be replaced once at its next use. A
client that lost the answer then gets the same successor again (note 1 of the section),
until it used the successor or `RETRY_SECONDS` are over; after that the old token shows
that two hold it.
"""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from authlib.oauth2.rfc6749 import ClientMixin, TokenMixin
from sqlalchemy import Connection, Row, insert, select, update

from gateway.oauth.grant_port import StandingGrant
from gateway.oauth.secret import digest_of, new_salt, successor_of
from gateway.oauth.tables import GRANT, REFRESH_TOKEN
from gateway.oauth.terms import GrantTerms
from gateway.oauth.token_subject import TokenSubject

RETRY_SECONDS: Final = 300
"""How long a client that lost its new refresh token may ask again with the old one."""

_TOKEN = REFRESH_TOKEN.c


@dataclass(frozen=True, slots=True)
class HeldRefreshToken(TokenMixin):
    """A refresh token that may be used.

    ``issued_at`` in seconds, UTC; ``used`` when it was before; ``superseded`` when it
    comes again because its successor was lost.
    """

    secret: str
    grant: StandingGrant
    subject: TokenSubject
    issued_at: int
    used: bool
    superseded: bool

    # These two are what Authlib's grant asks of a refresh token.
    def check_client(self, client: ClientMixin) -> bool:
        """Tell whether it was issued to ``client``."""
        return self.grant.client_id == client.get_client_id()

    def get_scope(self) -> str:
        """Return the most its access tokens may carry."""
        return " ".join(sorted(self.grant.scopes))


class SecondHolder(NamedTuple):
    """A superseded token came again: two parties hold tokens of this grant."""

    grant_id: str
    client_id: str


def insert_refresh_token(connection: Connection, secret: str, grant_id: str, now: int) -> None:
    """Keep a new refresh token in the caller's transaction. ``now`` in seconds, UTC."""
    connection.execute(
        insert(REFRESH_TOKEN).values(digest=digest_of(secret), grant_id=grant_id, issued_at=now)
    )


def find_refresh_token(
    connection: Connection, secret: str, now: int
) -> HeldRefreshToken | SecondHolder | None:
    """Return what ``secret`` is at ``now``; None when it is no token that stands."""
    row = connection.execute(
        select(GRANT, _TOKEN.issued_at, _TOKEN.used_at, _TOKEN.superseded_at, _TOKEN.salt)
        .join_from(REFRESH_TOKEN, GRANT, _TOKEN.grant_id == GRANT.c.grant_id)
        .where(
            _TOKEN.digest == digest_of(secret),
            GRANT.c.revoked_at.is_(None),
            GRANT.c.expires_at > now,
        )
    ).first()
    if row is None:
        return None
    if row.superseded_at is not None and not _may_retry(connection, secret, row, now):
        return SecondHolder(row.grant_id, row.client_id)
    terms = GrantTerms.model_validate_json(row.document)
    return HeldRefreshToken(
        secret,
        terms.standing(row.grant_id, row.client_id, row.granted_at, row.expires_at),
        terms.subject(row.grant_id, row.expires_at),
        row.issued_at,
        row.used_at is not None,
        row.superseded_at is not None,
    )


def _may_retry(connection: Connection, secret: str, row: Row[Any], now: int) -> bool:
    successor = digest_of(successor_of(secret, row.salt))
    used_at = connection.execute(
        select(_TOKEN.used_at).where(_TOKEN.digest == successor)
    ).scalar_one()
    return used_at is None and now < row.superseded_at + RETRY_SECONDS


def mark_used(connection: Connection, token: HeldRefreshToken, now: int) -> None:
    """Note the first use of ``token``: from then on its predecessor is not taken again."""
    connection.execute(
        update(REFRESH_TOKEN)
        .where(_TOKEN.digest == digest_of(token.secret), _TOKEN.used_at.is_(None))
        .values(used_at=now)
    )


def superseded(connection: Connection, token: HeldRefreshToken, now: int) -> str:
    """Put a successor in the place of ``token`` and return it.

    Of several that ask at once one makes it, and all are given the same.
    """
    digest = digest_of(token.secret)
    salt = new_salt()
    won = connection.execute(
        update(REFRESH_TOKEN)
        .where(_TOKEN.digest == digest, _TOKEN.superseded_at.is_(None))
        .values(superseded_at=now, salt=salt)
    ).rowcount
    if won:
        successor = successor_of(token.secret, salt)
        insert_refresh_token(connection, successor, token.grant.grant_id, now)
        return successor
    kept = connection.execute(select(_TOKEN.salt).where(_TOKEN.digest == digest)).scalar_one()
    return successor_of(token.secret, kept)
