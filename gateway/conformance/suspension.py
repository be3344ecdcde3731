"""Suspensions for findings: ordinary ones, in the authority log, by an actor of their own.

A suspension is lifted here only where it is the gateway's own, and where an administrator has
lifted it, that stands (`operators.suspended`).
"""

from typing import Final

from creditgate.refusal import Refused
from creditgate.v1.operator_service_pb2 import OperatorState
from operators.log import AuthorityLog, Draft
from operators.model import OPERATOR
from operators.suspended import CONFORMANCE, Suspension, suspension_of

_ACTIVE: Final = OperatorState.OPERATOR_STATE_ACTIVE
_SUSPENDED: Final = OperatorState.OPERATOR_STATE_SUSPENDED
_WHY_SUSPENDED: Final = "Findings of conformance were not rectified by their deadline."
_WHY_REINSTATED: Final = "The findings of conformance are rectified."


class Suspensions:
    """Reads and writes suspensions. Calls block."""

    def __init__(self, log: AuthorityLog) -> None:
        self._log = log

    def head(self) -> int:
        """Return the sequence of the newest change of authority."""
        return self._log.head()

    def of(self, operator_id: str) -> Suspension | None:
        """Return how it stands with an operator; None where there is none of that id."""
        return suspension_of(self._log, operator_id)

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
            self._log.append([draft], changed_by=CONFORMANCE, changed_at=now, reason=why)
        except Refused:
            return False
        return True
