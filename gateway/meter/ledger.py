"""The usage ledger: groups of claims become durable in one transaction.

In that transaction each claim is judged by what only the store can know: that its id
is new (or an honest retry), that nothing it would serve has ended since it was read,
that the consent it relies on stands and allows one more, and that the quota allows it. So
the instant of commit is the instant of serving: a correction, repair, withdrawal or
revocation committed before it is always seen.
"""

import logging
from collections.abc import Iterable, Sequence

from sqlalchemy import Engine

from gateway.clock import Clock
from gateway.meter.model import (
    ConsentVersion,
    Outcome,
    RefusalEntry,
    Stale,
    Unwritable,
    UsageClaim,
    unpack_entries,
)
from gateway.meter.postgresql import PostgresLedgerStore
from gateway.meter.rules import NO_CONSENTS, Consents, Reckoning, is_limited
from gateway.meter.sqlite import SqliteLedgerStore
from gateway.meter.store import LedgerStore, LedgerTransaction

_log = logging.getLogger(__name__)


class UsageLedger:
    """Writes claims and refusals on SQLite or PostgreSQL.

    Used by one thread at a time; several processes may have one each on one store.
    """

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._clock = clock
        self._store: LedgerStore = (
            SqliteLedgerStore(engine)
            if engine.dialect.name == "sqlite"
            else PostgresLedgerStore(engine)
        )
        driver = engine.dialect.loaded_dbapi
        # What a driver raises for what it is given, not for how the store does.
        self._faults_of_content: tuple[type[Exception], ...] = (
            driver.DataError,
            driver.IntegrityError,
            OverflowError,
            TypeError,
            ValueError,
        )

    def commit(
        self, claims: Sequence[UsageClaim], refusals: Sequence[RefusalEntry] = ()
    ) -> list[Outcome]:
        """Make a group durable and return each claim's outcome, in order.

        Of a claim that is not Charged nothing is written. Raises what the store raises
        when it fails; what was written is unknown then, and a retry finds it out.
        """
        try:
            return self._write(claims, refusals)
        except self._faults_of_content as error:
            if len(claims) + len(refusals) == 1:
                _log.error("a usage entry cannot be written: %s", type(error).__name__)
                return [Unwritable() for _ in claims]
        # Something of the group cannot be written, and the rest must not suffer for it.
        outcomes: list[Outcome] = []
        for some_claims, some_refusals in _halves(claims, refusals):
            outcomes += self.commit(some_claims, some_refusals)
        return outcomes

    def close(self) -> None:
        """Give back what the store holds; a later commit takes it again."""
        self._store.close()

    def _write(
        self, claims: Sequence[UsageClaim], refusals: Sequence[RefusalEntry]
    ) -> list[Outcome]:
        with self._store.transaction(claims) as transaction:
            # Before the clock is read: a consent may have to be waited for.
            consents = _consents(transaction, claims)
            # Read here, with every lock held: what waited too long is not served.
            reckoning = Reckoning(
                self._clock.now(),
                _ended(transaction, claims),
                transaction.earlier(claims) if claims else (),
                transaction.used({claim.quota_day for claim in claims}) if claims else {},
                consents,
            )
            outcomes = [reckoning.judge(claim) if claim.stands() else Stale() for claim in claims]
            transaction.write(reckoning.charged, reckoning.grown, reckoning.relied, refusals)
        return outcomes


def _consents(transaction: LedgerTransaction, claims: Iterable[UsageClaim]) -> Consents:
    """Return what has become of the consents that the claims rely on."""
    relied = [(consent, claim) for claim in claims if (consent := claim.relies_on) is not None]
    if not relied:
        return NO_CONSENTS
    limited = {claim.consent_day for consent, claim in relied if is_limited(consent)}
    return Consents(
        transaction.changed({ConsentVersion.of(consent) for consent, _ in relied}),
        transaction.consent_uses(limited) if limited else {},
    )


def _ended(transaction: LedgerTransaction, claims: Iterable[UsageClaim]) -> set[int]:
    """Return which revisions of the claims have ended since they were read."""
    head = transaction.head() if claims else 0
    sequences = {
        sequence
        for claim in claims
        if claim.disclosure_sequence != head
        for sequence in unpack_entries(claim.entries)
    }
    return transaction.ended(sequences) if sequences else set()


def _halves(
    claims: Sequence[UsageClaim], refusals: Sequence[RefusalEntry]
) -> Sequence[tuple[Sequence[UsageClaim], Sequence[RefusalEntry]]]:
    if claims and refusals:
        return (claims, ()), ((), refusals)
    half = (len(claims) + len(refusals)) // 2
    return (claims[:half], refusals[:half]), (claims[half:], refusals[half:])
