"""How far the clerk has come in each log it follows: kept, so that it goes on where it was."""

from typing import Final

from sqlalchemy import Connection, insert, select, update

from consent.tables import FOLLOWED

AUTHORITY: Final = "authority"
"""The authority log, as far as consents went the way of their operators."""
AUTHORITY_SETTLED: Final = "authority-settled"
"""The authority log, as far as no process acts any more on what was before."""
REVOCATIONS: Final = "revoked-consents"
"""The log of consents' changes, as far as grants that rested on revoked ones were ended."""
LIVES: Final = "consent-lives"
"""The log of consents' changes, as far as it is known of granted ones when to look at them."""


def come_to(connection: Connection, name: str) -> int:
    """Return the sequence up to which the log of ``name`` was followed, 0 at first."""
    query = select(FOLLOWED.c.sequence).where(FOLLOWED.c.name == name)
    return connection.execute(query).scalar() or 0


def come_further(connection: Connection, name: str, sequence: int) -> None:
    """Keep that the log of ``name`` was followed up to ``sequence``; it never goes back."""
    own = FOLLOWED.c.name == name
    forward = own & (FOLLOWED.c.sequence < sequence)
    known = connection.execute(select(FOLLOWED.c.sequence).where(own)).scalar()
    if known is None:
        connection.execute(insert(FOLLOWED).values(name=name, sequence=sequence))
    else:
        connection.execute(update(FOLLOWED).where(forward).values(sequence=sequence))
