"""Removals of what was served under ended consents become findings when they are overdue, and
those acknowledged after all are rectified (G9)."""

from typing import Final, Protocol

from consent.model import NAME_PREFIX
from consent.overdue import LateRemoval, SqlOverdue

_AT_ONCE: Final = 500


class ConsentFindings(Protocol):
    """What is needed of `gateway.conformance.findings.Findings`; doing either again changes
    nothing."""

    def open_consent_overdue(self, operator_id: str, consent: str, now: int) -> object:
        """Open the finding that a removal was not acknowledged by its deadline."""
        ...

    def consent_acknowledged(self, operator_id: str, consent: str, now: int) -> object:
        """Rectify that finding."""
        ...


class OverdueConsents:
    """Takes steps, in one process at a time (`gateway.storage.turn.ENFORCEMENT`).

    What was done is noted after it was done: whoever has the next turn may do it again.
    """

    def __init__(self, overdue: SqlOverdue, findings: ConsentFindings) -> None:
        self._overdue = overdue
        self._findings = findings

    def step(self, now: int) -> None:
        """Bring all findings up to ``now`` (seconds, UTC).

        Blocks. Raises what the stores raise; the next step goes on.
        """
        while late := self._overdue.late(now, _AT_ONCE):
            for each in late:
                self._findings.open_consent_overdue(each.operator_id, _name(each), now)
            self._overdue.found(late)
        while good := self._overdue.made_good(_AT_ONCE):
            # One finding is of all that is overdue for a consent.
            for each in good:
                if not each.more_open:
                    self._findings.consent_acknowledged(each.operator_id, _name(each), now)
            self._overdue.rectified(good)


def _name(removal: LateRemoval) -> str:
    return NAME_PREFIX + removal.consent_id
