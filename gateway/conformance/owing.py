"""Who owes the removal of what for which event, as rows: of those that were served a revision, or
have put it right, all that may still keep its copy."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Connection

from gateway.conformance.event_pages import WatchedEvent, kept_of
from gateway.conformance.removal_rows import SAID_BEFORE
from gateway.conformance.removal_tables import Finding
from gateway.conformance.said_before import Voided, said_of


class Deadlines(Protocol):
    """What is needed of `gateway.conformance.policy.ConformancePolicy`."""

    def removal_seconds(self, severity: int) -> int:
        """Return how long after its event a void copy must be gone, by Severity."""
        ...


class Owing(NamedTuple):
    """That an operator owes the removal of a revision for an event; of those alike it was served
    that of ``last`` last."""

    event: WatchedEvent
    operator_id: str
    sequence: int
    last: int

    @property
    def voided(self) -> Voided:
        """The copies it is about."""
        event = self.event
        return Voided(
            self.operator_id, event.sequence, event.record_id, event.void_alike, self.last
        )


def owing_for(events: Sequence[WatchedEvent], held: Mapping[int, Mapping[str, int]]) -> list[Owing]:
    """Return who owes what for events, but for those that demand no removal; ``held`` are those who
    may keep copies of the revisions they made void, as of `gateway.conformance.event_pages.Keepers`."""
    return [
        Owing(
            event,
            operator_id,
            sequence,
            max(
                each
                for each in event.void_alike
                if event.at < held.get(each, {}).get(operator_id, 0)
            ),
        )
        for event in events
        if event.demands_removal
        for operator_id, (until, sequence) in sorted(kept_of(event.void_alike, held).items())
        if event.at < until
    ]


def duty_rows(
    connection: Connection, owing: Sequence[Owing], deadlines: Deadlines
) -> list[dict[str, Any]]:
    """Return the rows of what is owed; what was said before of the copies ends it."""
    said = said_of(connection, [each.voided for each in owing])
    return [
        {
            "operator_id": operator_id,
            "event_sequence": event.sequence,
            "revision_sequence": sequence,
            "record_id": event.record_id,
            "severity": event.severity,
            "owed_since": event.at,
            "deadline": event.at + deadlines.removal_seconds(event.severity),
            "removed_at": event.at if word.gone else None,
            "acknowledged_at": event.at if word.gone else None,
            "acknowledged_by": SAID_BEFORE if word.gone else "",
            "finding": Finding.NONE,
            "said_answers": word.answers,
            "said_since": word.since,
        }
        for event, operator_id, sequence, _ in owing
        for word in (said[operator_id, event.sequence],)
    ]
