"""Consents in the plainest words, for the model that the engine and the ledger are held to."""

from dataclasses import dataclass, field

from consent.model import ONCE
from consent.states import Move
from gateway.meter.model import UsageClaim
from tests.meter.world import DAY

MOST_A_DAY = 2


@dataclass
class Told:
    """A consent in the plainest words: what people did to it, and what was served.

    ``served`` are the instants of all answers, ``copied`` of those with records;
    ``deadline`` is by when copies must be gone that were served up to ``owed_to``, and
    ``report_by`` when their removal must be reported, all None while nothing is owed.
    """

    consent_id: str
    mode: int
    begins: int
    ends: int
    answer_until: int
    life: int
    granted: bool = False
    paused: bool = False
    end: str = ""
    ended_at: int = 0
    changes: int = 1
    served: list[int] = field(default_factory=list[int])
    copied: list[int] = field(default_factory=list[int])
    deadline: int | None = None
    owed_to: int | None = None
    report_by: int | None = None
    acknowledged: bool = False

    def state(self, now: int) -> str:
        """Return how it stands at an instant."""
        if self.end:
            return self.end
        if not self.granted:
            return "EXPIRED" if now >= min(self.answer_until, self.ends) else "REQUESTED"
        if self.mode == ONCE and self.served:
            return "EXHAUSTED"
        if now >= self.ends:
            return "EXPIRED"
        return "PAUSED" if self.paused else "GRANTED"

    def write_down(self, now: int) -> None:
        """Let the end that time or use has made be final."""
        state = self.state(now)
        if not self.end and state in ("EXPIRED", "EXHAUSTED"):
            instants = {
                "EXPIRED": self.ends if self.granted else min(self.answer_until, self.ends),
                "EXHAUSTED": max(self.served, default=0),
            }
            self.finish(state, min(instants[state], now), now)

    def finish(self, end: str, at: int, told_at: int) -> None:
        """End it."""
        self.end, self.ended_at = end, at
        self.changes += 1
        if self.copied:
            self._owe(at + DAY if end == "REVOKED" else None, told_at)

    def look(self, now: int) -> None:
        """Let what is held under it be owed once no copy may be kept any more."""
        self.write_down(now)
        if self.end or not self.copied or now < max(self.copied) + self.life:
            return
        if self.owed_to != max(self.copied):
            self.changes += 1
            self._owe(None, now)

    def _owe(self, cut: int | None, told_at: int) -> None:
        over = max(self.copied) + self.life
        deadline = over if cut is None else min(over, cut)
        due = max(deadline, told_at + DAY)
        if self.owed_to == max(self.copied):
            if not self.acknowledged:
                assert self.deadline is not None
                assert self.report_by is not None
                self.deadline = min(deadline, self.deadline)
                self.report_by = min(due, self.report_by)
            return
        if self.report_by is not None and not self.acknowledged and deadline <= told_at:
            # Nothing that is held may be held: the report stays due as it was.
            due = max(deadline, self.report_by)
        self.deadline, self.report_by, self.owed_to = deadline, due, max(self.copied)
        self.acknowledged = False

    def move(self, move: Move, now: int) -> bool:
        """Do what somebody asks for, and tell whether it may be done."""
        self.write_down(now)
        state = self.state(now)
        if state == "REQUESTED" and move == "grant":
            self.granted = True
        elif state == "REQUESTED" and move == "refuse":
            self.finish("REFUSED", now, now)
            return True
        elif move == "revoke" and (
            state in ("REQUESTED", "GRANTED", "PAUSED")
            or (state in ("EXPIRED", "EXHAUSTED") and self.copied and not self.acknowledged)
        ):
            self.finish("REVOKED", now, now)
            return True
        elif (state, move) in (("GRANTED", "pause"), ("PAUSED", "resume")):
            self.paused = move == "pause"
        else:
            return False
        self.changes += 1
        return True


@dataclass
class Read:
    """A claim made from what was read, and the consent and its version as they were then."""

    claim: UsageClaim
    told: Told
    changes: int


@dataclass
class Paid:
    """An answer that was charged."""

    digest: bytes
    served_at: int
    decision_id: str
    entries: int
