"""Sessions: which browser belongs to whom, on the server, by the digest of its cookie.

OWASP ASVS 5.0, chapter V7: reference tokens of 256 random bits, rotated at each sign-in,
with an end for idle and for old ones.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    FromClause,
    and_,
    delete,
    exists,
    insert,
    not_,
    or_,
    select,
    text,
    update,
)

from gateway.clock import Clock
from gateway.signin.identity import Identity
from gateway.signin.principals import Principals
from gateway.signin.tables import SESSION
from gateway.storage.bounded import bounded
from gateway.storage.engines import reading
from gateway.storage.sweeping import Sweeping

COOKIE: Final = "__Host-creditgate"
"""RFC 6265bis section 4.1.3.2: only this host, only by TLS, for all of its paths."""

IDLE_SECONDS: Final = 15 * 60
LIFE_SECONDS: Final = 8 * 3_600
_SECRET_BYTES: Final = 32
_DIGEST_BYTES: Final = 32
_MOST_SECRET: Final = 64
# Writing down each request would make reading pages cost a commit.
_NOTE_SECONDS: Final = 60
_SWEEP_SECONDS: Final = 300
_SIGN_IN_LOCK: Final = 0x7369676E


@dataclass(frozen=True, slots=True)
class Browser:
    """One browser: the secret of its cookie, and who is signed in there, if anybody.

    ``known`` tells whether it sent the secret; else it was made for it just now.
    ``idle_at`` (UTC seconds) is when whoever is signed in no longer is, if nothing is done
    there until then, and ``over_at`` when, whatever is done; 0 for nobody.
    """

    secret: str
    known: bool
    identity: Identity | None = None
    idle_at: int = 0
    over_at: int = 0

    @property
    def digest(self) -> bytes:
        """What of the secret may be kept."""
        return digest_of(self.secret)

    def form_token(self, purpose: str) -> str:
        """Return what a form for ``purpose`` must send along: no other site can know it."""
        return hmac.new(self.secret.encode(), purpose.encode(), hashlib.sha256).hexdigest()

    def sent_form(self, purpose: str, token: str) -> bool:
        """Tell whether ``token`` came from a form for ``purpose`` shown in this browser."""
        return self.known and hmac.compare_digest(
            self.form_token(purpose).encode(), token.encode("utf-8", "replace")
        )


class Sessions:
    """Sessions in the database. Calls block."""

    def __init__(self, engine: Engine, clock: Clock, principals: Principals) -> None:
        self._engine = engine
        self._clock = clock
        self._principals = principals
        self._sweeping = Sweeping(_SWEEP_SECONDS)

    def browser(self, secret: str | None) -> Browser:
        """Return the browser that sent ``secret`` as its cookie; a new one for None."""
        if secret is None or not 0 < len(secret) <= _MOST_SECRET or not secret.isascii():
            return Browser(secrets.token_urlsafe(_SECRET_BYTES), known=False)
        browser = Browser(secret, known=True)
        now = self._clock.now()
        with reading(self._engine) as connection:
            row = connection.execute(
                select(SESSION).where(SESSION.c.digest == browser.digest)
            ).one_or_none()
        if row is None or now >= row.seen_at + IDLE_SECONDS or now >= row.began_at + LIFE_SECONDS:
            return browser
        seen_at = row.seen_at
        if now >= seen_at + _NOTE_SECONDS:
            seen_at = now
            with bounded(self._engine) as connection:
                connection.execute(
                    update(SESSION).where(SESSION.c.digest == browser.digest).values(seen_at=now)
                )
        identity = Identity(
            row.issuer,
            row.subject,
            row.name,
            row.uscc,
            row.auth_time,
            row.acr,
            self._principals.representative(row.issuer, row.subject),
        )
        over_at = row.began_at + LIFE_SECONDS
        idle_at = min(seen_at + IDLE_SECONDS, over_at)
        return Browser(secret, known=True, identity=identity, idle_at=idle_at, over_at=over_at)

    def sign_in(self, browser: Browser, identity: Identity) -> Browser:
        """Begin a session for ``identity`` and return the browser with its new secret.

        What the provider says of a person now holds in all their sessions: who acts for a company
        no more must not go on where they signed in before. When and how strongly they signed in is
        each session's own. Where they signed in elsewhere later than here, and it was said otherwise
        there, neither is known to be the newer word: they act for no company until they sign in anew.

        The old secret is worth nothing from then on: whoever planted or saw it before the
        sign-in has no part in it (session fixation).
        """
        now = self._clock.now()
        with bounded(self._engine) as connection:
            _take_turn(connection)
            _end(connection, browser, now)
            contradicts = connection.execute(
                select(SESSION.c.digest)
                .where(_of_person(identity), SESSION.c.auth_time > identity.auth_time)
                .where(SESSION.c.uscc != identity.uscc)
                .limit(1)
            ).first()
            if contradicts is not None:
                identity = replace(identity, uscc="")
            signed_in = Browser(secrets.token_urlsafe(_SECRET_BYTES), known=True, identity=identity)
            connection.execute(
                update(SESSION)
                .where(_of_person(identity))
                .values(name=identity.name, uscc=identity.uscc)
            )
            connection.execute(
                insert(SESSION).values(
                    digest=signed_in.digest,
                    issuer=identity.issuer,
                    subject=identity.subject,
                    name=identity.name,
                    uscc=identity.uscc,
                    acr=identity.acr,
                    auth_time=identity.auth_time,
                    began_at=now,
                    seen_at=now,
                )
            )
        if self._sweeping.due(now):
            self.sweep()
        return signed_in

    def sign_out(self, browser: Browser) -> None:
        """End the browser's session, if it has one.

        What the provider said there is remembered for as long as sessions of earlier sign-ins are
        open, as it is of a session that is over by itself: no sign-in of before may gainsay it in these.
        """
        now = self._clock.now()
        with bounded(self._engine) as connection:
            _end(connection, browser, now)

    def sign_out_everywhere(self, identity: Identity) -> None:
        """End all sessions of the person that ``identity`` is."""
        with bounded(self._engine) as connection:
            _take_turn(connection)
            connection.execute(delete(SESSION).where(_of_person(identity)))

    def sweep(self) -> int:
        """Forget the sessions that are over, and whose word no open one of an earlier sign-in needs;
        return how many."""
        now = self._clock.now()
        with bounded(self._engine) as connection:
            _take_turn(connection)
            return connection.execute(delete(SESSION).where(_forgettable(now))).rowcount


def _of_person(identity: Identity) -> ColumnElement[bool]:
    return and_(SESSION.c.issuer == identity.issuer, SESSION.c.subject == identity.subject)


def _end(connection: Connection, browser: Browser, now: int) -> None:
    """End a browser's session: nobody has the secret of what may be left of it."""
    gone = secrets.token_bytes(_DIGEST_BYTES)
    connection.execute(
        update(SESSION).where(SESSION.c.digest == browser.digest).values(digest=gone, seen_at=0)
    )
    connection.execute(delete(SESSION).where(SESSION.c.digest == gone, _forgettable(now)))


def _forgettable(now: int) -> ColumnElement[bool]:
    """Return of which sessions nothing is needed any more at ``now`` (seconds, UTC)."""
    earlier = SESSION.alias("earlier")
    needed = exists().where(
        earlier.c.issuer == SESSION.c.issuer,
        earlier.c.subject == SESSION.c.subject,
        earlier.c.auth_time < SESSION.c.auth_time,
        not_(_is_over(earlier, now)),
    )
    return and_(_is_over(SESSION, now), not_(needed))


def _is_over(session: FromClause, now: int) -> ColumnElement[bool]:
    return or_(session.c.seen_at <= now - IDLE_SECONDS, session.c.began_at <= now - LIFE_SECONDS)


def _take_turn(connection: Connection) -> None:
    """Let those who write several sessions go one after the other, as SQLite's writers do already: of
    two sign-ins of one person at once, neither would see the other's session."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_SIGN_IN_LOCK})"))


def digest_of(secret: str) -> bytes:
    """Return the SHA-256 of a secret of 256 random bits."""
    return hashlib.sha256(secret.encode()).digest()
