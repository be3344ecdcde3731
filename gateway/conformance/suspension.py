"""Suspensions for findings: ordinary ones, in the authority log, by an actor of their own.

What is whose the log alone tells: a suspension is lifted here only where it was made here,
and where an administrator has lifted it, that stands.
"""

from typing import Final, NamedTuple

from creditgate.refusal import Refused
from creditgate.v1.operator_service_pb2 import OperatorState
from operators.log import AuthorityLog, Change, Draft
from operators.model import OPERATOR, Operator

ACTOR: Final = "gateway:conformance"
"""Who suspends and reinstates here; no client or administrator can be called so."""

_ACTIVE: Final = OperatorState.OPERATOR_STATE_ACTIVE
_SUSPENDED: Final = OperatorState.OPERATOR_STATE_SUSPENDED
_REVOKED: Final = OperatorState.OPERATOR_STATE_REVOKED
_CHANGES_AT_ONCE: Final = 500
_WHY_SUSPENDED: Final = "Findings of conformance were not rectified by their deadline."
_WHY_REINSTATED: Final = "The findings of conformance are rectified."


class Suspension(NamedTuple):
    """Whether an operator may work, by the authority log.

    ``own`` tells that it is suspended for findings, since ``since``; ``pardoned_at`` is when
    an administrator last lifted such a suspension, 0 where none did, and ``pardon`` that change,
    by its sequence. Seconds, UTC.
    """

    operator: Operator
    own: bool
    since: int
    pardoned_at: int
    pardon: int

    @property
    def active(self) -> bool:
        """Whether it may work."""
        return self.operator.state == _ACTIVE

    @property
    def revoked(self) -> bool:
        """Whether it was revoked for good."""
        return self.operator.state == _REVOKED


class Suspensions:
    """Reads and writes suspensions. Calls block."""

    def __init__(self, log: AuthorityLog) -> None:
        self._log = log

    def head(self) -> int:
        """Return the sequence of the newest change of authority."""
        return self._log.head()

    def of(self, operator_id: str) -> Suspension | None:
        """Return how it stands with an operator; None where there is none of that id."""
        after = 0
        last: Change | None = None
        state: object = None
        own, since, pardoned_at, pardon = False, 0, 0, 0
        more = True
        while more:
            changes = self._log.history(
                kind=OPERATOR, id=operator_id, after=after, limit=_CHANGES_AT_ONCE
            )
            more = len(changes) == _CHANGES_AT_ONCE
            for change in changes:
                before, state = state, change.document["state"]
                if state != before:
                    if own and state == _ACTIVE and change.changed_by != ACTOR:
                        pardoned_at, pardon = change.changed_at, change.sequence
                    own = state == _SUSPENDED and change.changed_by == ACTOR
                    since = change.changed_at
                last, after = change, change.sequence
        if last is None:
            return None
        operator = Operator.from_document(
            last.document, version=last.version, changed_at=last.changed_at
        )
        return Suspension(operator, own, since, pardoned_at, pardon)

    def suspend(self, present: Suspension, now: int) -> bool:
        """Suspend an operator that is active; False where it was changed meanwhile."""
        return self._write(present, _SUSPENDED, _WHY_SUSPENDED, now)

    def reinstate(self, present: Suspension, now: int) -> bool:
        """Lift a suspension that was made here; False where the operator was changed
        meanwhile."""
        return self._write(present, _ACTIVE, _WHY_REINSTATED, now)

    def _write(
        self, present: Suspension, state: OperatorState.ValueType, why: str, now: int
    ) -> bool:
        operator = present.operator
        changed = operator.model_copy(update={"state": state})
        draft = Draft(OPERATOR, operator.operator_id, operator.version, changed.as_document())
        try:
            self._log.append([draft], changed_by=ACTOR, changed_at=now, reason=why)
        except Refused:
            return False
        return True
