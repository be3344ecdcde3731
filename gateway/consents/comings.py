"""Operators come and go: what becomes of their consents when they are suspended, reinstated
or revoked.

Serving does not wait for this: a suspended operator is refused by authority itself. Here
its consents are written as what they have become, so that subjects are told.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Final

from sqlalchemy.exc import DBAPIError

from consent.changing import Act
from consent.model import Actor
from consent.sql import SqlConsents
from consent.states import GRANTED, OPEN, PAUSED, Move
from consent.unreadable import unreadable_left
from creditgate.refusal import Refused
from creditgate.v1.operator_service_pb2 import OperatorState
from creditgate.v1.refusal_pb2 import RefusalReason
from operators.log import Change
from operators.model import Operator

_AT_ONCE: Final = 200
_MOST_IN_VAIN: Final = 3
"""Each may have waited for seconds, and there is other work."""
# What each state of an operator does, and to consents in which states.
_MOVES: Final[Mapping[OperatorState.ValueType, tuple[Move, frozenset[int]]]] = {
    OperatorState.OPERATOR_STATE_SUSPENDED: ("pause", frozenset({GRANTED})),
    OperatorState.OPERATOR_STATE_ACTIVE: ("resume", frozenset({PAUSED})),
    OperatorState.OPERATOR_STATE_REVOKED: ("revoke", frozenset(OPEN)),
}


def follow(
    consents: SqlConsents, change: Change, now: int, *, is_newest: bool = True
) -> Iterator[str]:
    """Move the consents of an operator as ``change`` of it wants it, at ``now``.

    A change that is not the newest of its operator pauses only what was granted before it:
    what was granted after a suspension was over was never under it. Yields the id of each,
    when it is done, so that whoever is to stop can. Doing it again changes nothing; a consent
    that ended meanwhile stays ended. One that the store cannot move now keeps none of the others, and
    is raised at the end; after a few of them at once. Calls block.
    """
    operator = Operator.from_document(
        change.document, version=change.version, changed_at=change.changed_at
    )
    move, states = _MOVES[operator.state]
    act = Act(Actor.ADMINISTRATOR, change.changed_by, change.reason, now)
    in_force = partial(consents.in_state, operator.operator_id, states)
    in_vain: list[DBAPIError] = []
    for consent_id in _each(in_force):
        with unreadable_left(consent_id), _left_in_vain(in_vain):
            if is_newest or move != "pause" or _was_granted(consents, consent_id, change):
                _move(consents, consent_id, move, act)
        yield consent_id
    if move == "revoke":
        # Who may act no more may keep nothing either, also of what time or use has ended.
        for consent_id in _each(partial(consents.in_state_owing, operator.operator_id)):
            with unreadable_left(consent_id), _left_in_vain(in_vain):
                _move(consents, consent_id, move, act)
            yield consent_id
    if in_vain:
        raise in_vain[0]


def _each(some: Callable[..., tuple[str, ...]]) -> Iterator[str]:
    """Yield all ids of which ``some`` gives those after one, page by page."""
    after = ""
    while found := some(after=after, limit=_AT_ONCE):
        yield from found
        after = found[-1]


@contextmanager
def _left_in_vain(in_vain: list[DBAPIError]) -> Generator[None]:
    try:
        yield
    except DBAPIError as error:
        in_vain.append(error)
        if len(in_vain) == _MOST_IN_VAIN:
            raise


def _was_granted(consents: SqlConsents, consent_id: str, change: Change) -> bool:
    consent = consents.get(consent_id)
    # To the second: who granted in that very one may have done so after it was over.
    return consent is not None and (consent.granted_at or 0) < change.changed_at


def _move(consents: SqlConsents, consent_id: str, move: Move, act: Act) -> None:
    try:
        consents.move(consent_id, move, act)
    except Refused as refused:
        # It ended, or somebody moved it, between the listing and now.
        if refused.reason != RefusalReason.REFUSAL_REASON_STATE_CONFLICT:
            raise
