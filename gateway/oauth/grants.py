"""The store of codes, grants and refresh tokens: who got what, and what still stands.

One use is decided by the database, by an update that only one can win. A code or a
superseded refresh token that comes a second time shows that two hold it: the grant ends,
with all its tokens (RFC 6749 section 4.1.2, RFC 9700 section 4.14.2).
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Engine, delete, exists, insert, select, update

from consent.connections import insist
from gateway.oauth.grant_port import StandingGrant
from gateway.oauth.refresh_tokens import (
    HeldRefreshToken,
    find_refresh_token,
    insert_refresh_token,
    mark_used,
    superseded,
)
from gateway.oauth.revocation_log import append_revocations
from gateway.oauth.revocations import Revocation
from gateway.oauth.secret import digest_of, new_secret
from gateway.oauth.tables import CODE, GRANT, GRANT_CONSENT, REFRESH_TOKEN
from gateway.oauth.terms import CodeTerms, GrantTerms
from gateway.storage.bounded import bounded
from gateway.storage.engines import reading
from gateway.storage.sweeping import Sweeping

CODE_SECONDS: Final = 60
"""Life of a code; FAPI 2.0 Security Profile, section 5.3.2.1, allows no more."""

REMEMBERED_SECONDS: Final = 86_400
"""How long a code is known after its end, so that it is noticed when it comes again."""

_SWEEP_SECONDS: Final = 600


@dataclass(frozen=True, slots=True)
class IssuedCode:
    """A code that was not used yet."""

    digest: bytes
    client_id: str
    grant_id: str
    terms: CodeTerms

    # The rest is what Authlib's grant and its PKCE extension ask of a code.
    def get_redirect_uri(self) -> str:
        """Return where the code was sent."""
        return self.terms.redirect_uri

    @property
    def code_challenge(self) -> str:
        """The challenge that the verifier must meet (RFC 7636)."""
        return self.terms.code_challenge

    @property
    def code_challenge_method(self) -> str:
        """The only method of the profile."""
        return "S256"


def insert_code(
    connection: Connection, code: str, client_id: str, terms: CodeTerms, now: int
) -> None:
    """Keep a new code in the caller's transaction. ``now`` in seconds, UTC."""
    grant_id = new_secret()
    connection.execute(
        insert(CODE).values(
            digest=digest_of(code),
            client_id=client_id,
            grant_id=grant_id,
            document=terms.model_dump_json(),
            expires_at=now + CODE_SECONDS,
        )
    )
    consents = {detail.consent for detail in terms.granted.details} - {None}
    if consents:
        connection.execute(
            insert(GRANT_CONSENT),
            [{"consent": consent, "grant_id": grant_id} for consent in consents],
        )


class SqlOAuthGrants:
    """`gateway.oauth.grant_port.OAuthGrants`, and what the code flow needs besides.

    Calls block. Times are in seconds, UTC.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sweeping = Sweeping(_SWEEP_SECONDS)

    def get(self, grant_id: str, now: int) -> StandingGrant | None:
        """As `OAuthGrants.get`."""
        query = select(GRANT).where(
            GRANT.c.grant_id == grant_id, GRANT.c.revoked_at.is_(None), GRANT.c.expires_at > now
        )
        with reading(self._engine) as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        terms = GrantTerms.model_validate_json(row.document)
        return terms.standing(row.grant_id, row.client_id, row.granted_at, row.expires_at)

    def of_refresh_token(self, token: str, now: int) -> StandingGrant | None:
        """As `OAuthGrants.of_refresh_token`."""
        with reading(self._engine) as connection:
            found = find_refresh_token(connection, token, now)
        return found.grant if isinstance(found, HeldRefreshToken) else None

    def revoke(self, grant_id: str, now: int) -> None:
        """As `OAuthGrants.revoke`."""
        with bounded(self._engine) as connection:
            ended = connection.execute(
                update(GRANT)
                .where(GRANT.c.grant_id == grant_id, GRANT.c.revoked_at.is_(None))
                .values(revoked_at=now)
            ).rowcount
            if ended:
                append_revocations(connection, [Revocation.of_grant(grant_id, now)], now)

    def end_for_consent(self, consent: str, now: int) -> int:
        """End all that rests on a consent: grants, codes and access tokens that name it.

        ``consent`` is its resource name. A grant that rests on other consents besides ends
        too. Return how many grants were ended; nothing stands that a second call would end.
        """
        resting = select(GRANT_CONSENT.c.grant_id).where(GRANT_CONSENT.c.consent == consent)
        with bounded(self._engine) as connection:
            # Codes first: one that is redeemed meanwhile has its grant here already, or
            # finds itself used.
            insist(
                connection,
                update(CODE)
                .where(CODE.c.grant_id.in_(resting), CODE.c.used_at.is_(None))
                .values(used_at=now),
            )
            standing = GRANT.c.grant_id.in_(resting), GRANT.c.revoked_at.is_(None)
            ended = insist(
                connection,
                update(GRANT).where(*standing).values(revoked_at=now).returning(GRANT.c.grant_id),
            ).scalars()
            revoked = [Revocation.of_grant(grant_id, now) for grant_id in ended]
            append_revocations(connection, [Revocation.of_consent(consent, now), *revoked], now)
        return len(revoked)

    def code(self, code: str, client_id: str, now: int) -> IssuedCode | None:
        """Return the client's code when it may be redeemed at ``now``; None otherwise.

        One that was used already ends the grant it gave.
        """
        digest = digest_of(code)
        query = select(CODE).where(CODE.c.digest == digest, CODE.c.client_id == client_id)
        with reading(self._engine) as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        if row.used_at is not None:
            self.revoke(row.grant_id, now)
            return None
        if row.expires_at <= now:
            return None
        terms = CodeTerms.model_validate_json(row.document)
        return IssuedCode(digest, client_id, row.grant_id, terms)

    def redeem(self, code: IssuedCode, refresh_token: str | None, until: int, now: int) -> bool:
        """Use ``code`` up and keep the grant it gives; return whether this was its first use.

        The grant lasts ``until``. A second use ends the grant.
        """
        with bounded(self._engine) as connection:
            self._sweep(connection, now)
            first = connection.execute(
                update(CODE)
                .where(CODE.c.digest == code.digest, CODE.c.used_at.is_(None))
                .values(used_at=now)
            ).rowcount
            if first:
                connection.execute(
                    insert(GRANT).values(
                        grant_id=code.grant_id,
                        client_id=code.client_id,
                        document=code.terms.granted.model_dump_json(),
                        granted_at=now,
                        expires_at=until,
                    )
                )
                if refresh_token is not None:
                    insert_refresh_token(connection, refresh_token, code.grant_id, now)
        if not first:
            self.revoke(code.grant_id, now)
        return bool(first)

    def refresh_token(self, token: str, client_id: str, now: int) -> HeldRefreshToken | None:
        """Return the client's refresh token when it may be used at ``now``; None otherwise.

        A superseded one that comes again ends the grant, with all its tokens.
        """
        with reading(self._engine) as connection:
            found = find_refresh_token(connection, token, now)
        if found is None or isinstance(found, HeldRefreshToken):
            return found
        if found.client_id == client_id:
            self.revoke(found.grant_id, now)
        return None

    def use(self, token: HeldRefreshToken, rotate: bool, now: int) -> str | None:
        """Note that ``token`` is used; return the one that takes its place, if any."""
        replaced = rotate or token.superseded
        if token.used and not replaced:
            return None
        with bounded(self._engine) as connection:
            mark_used(connection, token, now)
            return superseded(connection, token, now) if replaced else None

    def _sweep(self, connection: Connection, now: int) -> None:
        if not self._sweeping.due(now):
            return
        forgotten = CODE.c.expires_at <= now - REMEMBERED_SECONDS
        unredeemed = select(CODE.c.grant_id).where(
            forgotten, ~exists().where(GRANT.c.grant_id == CODE.c.grant_id)
        )
        connection.execute(delete(GRANT_CONSENT).where(GRANT_CONSENT.c.grant_id.in_(unredeemed)))
        connection.execute(delete(CODE).where(forgotten))
        over = GRANT.c.expires_at <= now
        ended = select(GRANT.c.grant_id).where(over)
        connection.execute(delete(REFRESH_TOKEN).where(REFRESH_TOKEN.c.grant_id.in_(ended)))
        connection.execute(delete(GRANT_CONSENT).where(GRANT_CONSENT.c.grant_id.in_(ended)))
        connection.execute(delete(GRANT).where(over))
