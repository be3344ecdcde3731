"""Copies an operator has still to show, and which of these are asked for again.

What is asked for again takes room of its own for either reason, so that nothing else that is left
unanswered keeps a copy from being asked for again.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from sqlalchemy import Connection, bindparam, select

from gateway.conformance.asking_again import Why
from gateway.conformance.finding_tables import CHALLENGES, UNANSWERED

_C: Final = CHALLENGES.c
_OPEN: Final = select(_C.revision_sequence, _C.challenge_id, _C.again).where(
    _C.operator_id == bindparam("operator"), UNANSWERED
)


class OpenChallenge(NamedTuple):
    """A challenge that is not answered; ``why`` it asks for a copy again, None where that was
    drawn."""

    challenge_id: str
    why: Why | None


def open_challenges(connection: Connection, operator_id: str) -> Mapping[int, OpenChallenge]:
    """Return the challenges an operator has not answered, by revision."""
    return {
        sequence: OpenChallenge(challenge_id, None if again is None else Why(again))
        for sequence, challenge_id, again in connection.execute(_OPEN, {"operator": operator_id})
    }
