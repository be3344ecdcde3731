"""Whose an operator's suspension is, as the authority log alone tells.

One for findings of conformance is the gateway's own, and ends by itself. It is an administrator's
from the change on by which one suspends the operator besides, which leaves all else as it is.
"""

from typing import Final, NamedTuple

from creditgate.v1.operator_service_pb2 import OperatorState
from operators.log import AuthorityLog, Change
from operators.model import OPERATOR, Operator

CONFORMANCE: Final = "gateway:conformance"
"""Who suspends and reinstates for findings; no client or administrator can be called so."""

_ACTIVE: Final = OperatorState.OPERATOR_STATE_ACTIVE
_SUSPENDED: Final = OperatorState.OPERATOR_STATE_SUSPENDED
_CHANGES_AT_ONCE: Final = 500


class Suspension(NamedTuple):
    """Whether an operator may work, by the authority log.

    ``own`` tells that it is suspended for findings alone, since ``since``; ``pardoned_at`` is when
    an administrator last lifted a suspension that findings led to, 0 where none did, and ``pardon``
    that change, by its sequence. Seconds, UTC.
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


def suspension_of(log: AuthorityLog, operator_id: str) -> Suspension | None:
    """Return how it stands with an operator; None where there is none of that id. Blocks."""
    after = 0
    last: Change | None = None
    for_findings, own, since, pardoned_at, pardon = False, False, 0, 0, 0
    more = True
    while more:
        changes = log.history(kind=OPERATOR, id=operator_id, after=after, limit=_CHANGES_AT_ONCE)
        more = len(changes) == _CHANGES_AT_ONCE
        for change in changes:
            state, by_findings = change.document["state"], change.changed_by == CONFORMANCE
            if last is None or state != last.document["state"]:
                if for_findings and state == _ACTIVE and not by_findings:
                    pardoned_at, pardon = change.changed_at, change.sequence
                own = for_findings = state == _SUSPENDED and by_findings
                since = change.changed_at
            elif not by_findings and _operator(change) == _operator(last):
                own = False
            last, after = change, change.sequence
    if last is None:
        return None
    operator = Operator.from_document(
        last.document, version=last.version, changed_at=last.changed_at
    )
    return Suspension(operator, own, since, pardoned_at, pardon)


def _operator(change: Change) -> Operator:
    # As a thing: what a former release wrote may lack what is empty.
    return Operator.from_document(change.document, version=0, changed_at=0)
