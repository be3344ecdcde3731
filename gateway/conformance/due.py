"""Attestations that are due: an operator that holds copies must say so again and again."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, Protocol

import numpy as np
from sqlalchemy import Connection, Engine, bindparam, select

from gateway.conformance.entitlement import Entitlements
from gateway.conformance.finding_rows import (
    keep_waiting,
    new_finding,
    standing_findings,
    standing_of_record,
    write_findings,
)
from gateway.conformance.finding_tables import STANDINGS
from gateway.conformance.model import ATTESTATION_OVERDUE, Difference
from gateway.conformance.policy import ConformancePolicy
from gateway.conformance.standings import attestation_due, touch
from gateway.conformance.told_missing import not_served_since, told_missing
from gateway.storage.bounded import bounded
from gateway.storage.engines import Engines, reading

_LOOK_SECONDS: Final = 60
_S = STANDINGS.c
_OVERDUE: Final = select(_S.operator_id).where(
    _S.attestation_due > 0, _S.attestation_due <= bindparam("now")
)
_DUE: Final = select(_S.attestation_due).where(_S.operator_id == bindparam("operator"))


class Entitled(Protocol):
    """What is needed of `HeldByWord`."""

    def entitled(self, operator_id: str, now: int) -> int:
        """Return how many copies an operator should hold at ``now``."""
        ...


class HeldByWord:
    """`Entitled` of this region's disclosure, by the operator's own word: what it told missing,
    and was not served since, it does not hold."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._entitlements = Entitlements(engines)

    def entitled(self, operator_id: str, now: int) -> int:
        """Return how many copies it holds, of those it should hold at ``now`` (seconds, UTC)."""
        entitlement = self._entitlements.of(operator_id, now)
        whole = self._entitlements.whole_held(entitlement, now)
        with reading(self._engines.evidence) as evidence:
            told = told_missing(evidence, operator_id)
        told = told._replace(sequences=np.intersect1d(told.sequences, whole))
        missing = not_served_since(self._engines.records, operator_id, told)
        return len(whole) - len(missing) + len(entitlement.cut_held(now))


class HeldElsewhere(Protocol):
    """What is known of copies that other regions gave."""

    def holds(self, operator_id: str, now: int) -> bool:
        """Tell whether other regions gave an operator any that it may hold at ``now``."""
        ...


class EntitledAnywhere:
    """`Entitled` of an operator that holds copies of this region's disclosure, or else of others'."""

    def __init__(self, own: Entitled, elsewhere: HeldElsewhere) -> None:
        self._own = own
        self._elsewhere = elsewhere

    def entitled(self, operator_id: str, now: int) -> int:
        """Return how many copies it should hold at ``now`` (seconds, UTC); one where it should
        hold none of this region's, and may hold any of others'."""
        return self._own.entitled(operator_id, now) or int(self._elsewhere.holds(operator_id, now))


class DueAttestations:
    """Works in one process at a time (`gateway.storage.turn.ENFORCEMENT`). Calls block.

    ``operators`` gives the ids of all operators and raises Refused when they are not known.
    """

    def __init__(
        self,
        engine: Engine,
        policy: ConformancePolicy,
        holdings: Entitled,
        operators: Callable[[], Iterable[str]],
    ) -> None:
        self._engine = engine
        self._policy = policy
        self._holdings = holdings
        self._operators = operators
        self._to_look_at: deque[str] = deque()
        self._looked_at = 0

    def step(self, now: int) -> None:
        """Find what is overdue at ``now`` (seconds, UTC), and look at one operator that was
        never asked to attest."""
        for operator_id in self._overdue(now):
            self._find(operator_id, now)
        if not self._to_look_at and not self._looked_at <= now < self._looked_at + _LOOK_SECONDS:
            self._to_look_at = deque(self._operators())
            self._looked_at = now
        if self._to_look_at:
            self._look_at(self._to_look_at.popleft(), now)

    def _look_at(self, operator_id: str, now: int) -> None:
        """Have an operator attest by a day from now on, once it holds copies."""
        with reading(self._engine) as connection:
            if _due(connection, operator_id):
                return
        if not self._holdings.entitled(operator_id, now):
            return
        with bounded(self._engine) as connection:
            touch(connection, operator_id, now)
            if not _due(connection, operator_id):
                attestation_due(connection, operator_id, now + self._policy.attestation_seconds)

    def _overdue(self, now: int) -> list[str]:
        with reading(self._engine) as connection:
            return list(connection.execute(_OVERDUE, {"now": now}).scalars())

    def _find(self, operator_id: str, now: int) -> None:
        """Find that an attestation is overdue, and ask for the next; one that has nothing
        left to attest is not asked any more."""
        holds = self._holdings.entitled(operator_id, now) > 0
        with bounded(self._engine) as connection:
            touch(connection, operator_id, now)
            due = _due(connection, operator_id)
            if not due or due > now:
                return
            # What waits to be asked for waits for the operator now, and no longer for the gateway.
            keep_waiting(connection, standing_findings(connection, operator_id), (), due)
            attestation_due(
                connection, operator_id, now + self._policy.attestation_seconds if holds else 0
            )
            if holds and not standing_of_record(connection, operator_id, "", ATTESTATION_OVERDUE):
                overdue = Difference(ATTESTATION_OVERDUE, "", 0, b"", 0, 0)
                finding = new_finding(self._policy, operator_id, overdue, "", now)
                write_findings(connection, [finding])


def _due(connection: Connection, operator_id: str) -> int:
    return connection.execute(_DUE, {"operator": operator_id}).scalar() or 0
