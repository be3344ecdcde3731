"""Principals: what people who signed in are called in tokens, consents and delegations.

Where a provider's subjects are phone or identity numbers, a bare digest of one is found again
by trying them all. So principals are keyed, by a secret that never leaves the store: they
are pseudonyms (Personal Information Protection Law, article 73 (3)).
"""

import hmac
import secrets
from typing import Final

from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import IntegrityError

from gateway.signin.identity import REPRESENTATIVE_PREFIX
from gateway.signin.tables import SECRET
from gateway.storage.bounded import bounded
from gateway.storage.engines import reading

_NAME: Final = "representatives"
_SECRET_BYTES: Final = 32


class Principals:
    """Gives the same person always the same principal, in all processes of an installation.

    ``secret`` is 32 random bytes.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @classmethod
    def kept_in(cls, engine: Engine) -> "Principals":
        """Return those of the installation whose authority store ``engine`` is of.

        Its secret is made by whoever comes first, once for all. Blocks.
        """
        secret = _kept(engine)
        if secret is None:
            try:
                with bounded(engine) as connection:
                    connection.execute(
                        insert(SECRET).values(name=_NAME, secret=secrets.token_bytes(_SECRET_BYTES))
                    )
            except IntegrityError:
                # Another process was first: its secret stands.
                pass
            secret = _kept(engine)
        assert secret is not None
        return cls(secret)

    def representative(self, issuer: str, subject: str) -> str:
        """Return the principal of the person whom the provider ``issuer`` calls ``subject``."""
        person = f"{issuer}\n{subject}".encode()
        return REPRESENTATIVE_PREFIX + hmac.digest(self._secret, person, "sha256").hex()[:32]


def _kept(engine: Engine) -> bytes | None:
    query = select(SECRET.c.secret).where(SECRET.c.name == _NAME)
    with reading(engine) as connection:
        return connection.execute(query).scalar_one_or_none()
