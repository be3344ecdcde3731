"""The states of a consent, and what moves it from one to the next. Pure.

    REQUESTED --grant--> GRANTED --pause--> PAUSED --resume--> GRANTED
    REQUESTED --refuse--> REFUSED
    REQUESTED, GRANTED, PAUSED --revoke--> REVOKED
    REQUESTED, GRANTED, PAUSED --expire--> EXPIRED
    GRANTED, PAUSED --exhaust--> EXHAUSTED

REFUSED, REVOKED, EXPIRED and EXHAUSTED are final: nothing revives a dead consent (G3).
Time and counts end a consent at the instant, whether or not that was written yet.
"""

from collections.abc import Mapping
from typing import Final, Literal

from consent.model import ONCE, Consent
from creditgate.v1.consent_service_pb2 import ConsentState

Move = Literal["grant", "refuse", "pause", "resume", "revoke", "expire", "exhaust"]

REQUESTED: Final = ConsentState.CONSENT_STATE_REQUESTED
GRANTED: Final = ConsentState.CONSENT_STATE_GRANTED
REFUSED: Final = ConsentState.CONSENT_STATE_REFUSED
PAUSED: Final = ConsentState.CONSENT_STATE_PAUSED
REVOKED: Final = ConsentState.CONSENT_STATE_REVOKED
EXPIRED: Final = ConsentState.CONSENT_STATE_EXPIRED
EXHAUSTED: Final = ConsentState.CONSENT_STATE_EXHAUSTED

FINAL: Final = frozenset({REFUSED, REVOKED, EXPIRED, EXHAUSTED})
OPEN: Final = frozenset({REQUESTED, GRANTED, PAUSED})

_MOVES: Final[Mapping[tuple[ConsentState.ValueType, Move], ConsentState.ValueType]] = {
    (REQUESTED, "grant"): GRANTED,
    (REQUESTED, "refuse"): REFUSED,
    (REQUESTED, "revoke"): REVOKED,
    (REQUESTED, "expire"): EXPIRED,
    (GRANTED, "pause"): PAUSED,
    (GRANTED, "revoke"): REVOKED,
    (GRANTED, "expire"): EXPIRED,
    (GRANTED, "exhaust"): EXHAUSTED,
    (PAUSED, "resume"): GRANTED,
    (PAUSED, "revoke"): REVOKED,
    (PAUSED, "expire"): EXPIRED,
    (PAUSED, "exhaust"): EXHAUSTED,
}
BY_ITSELF: Final[Mapping[ConsentState.ValueType, Move]] = {EXPIRED: "expire", EXHAUSTED: "exhaust"}
"""What time and use do of themselves, and the moves that write it down."""


def moved(state: ConsentState.ValueType, move: Move) -> ConsentState.ValueType | None:
    """Return the state after ``move``; None where the state does not allow it."""
    return _MOVES.get((state, move))


def due_at(consent: Consent) -> int | None:
    """Return the instant (seconds, UTC) at which time alone ends it; None for a dead one."""
    if consent.state == REQUESTED:
        return min(consent.answer_until, consent.terms.valid_until)
    return consent.terms.valid_until if consent.state in OPEN else None


def effective_state(consent: Consent, answered: int, now: int) -> ConsentState.ValueType:
    """Return where ``consent`` stands at ``now`` (seconds, UTC).

    ``answered`` is how many requests were answered under it. Use comes before time: it was
    answered while it was live, so what one answer has used up was ended by that.
    """
    due = due_at(consent)
    if due is None:
        return consent.state
    if consent.state != REQUESTED and consent.terms.access_mode == ONCE and answered:
        return EXHAUSTED
    return EXPIRED if now >= due else consent.state


def ended_by_itself_at(consent: Consent, answered_at: int | None, now: int) -> int:
    """Return when time or use has ended ``consent``, which stood until then (seconds, UTC).

    ``answered_at`` is when it was answered last, None for never. Not after ``now``, when
    that is found: a clock may have been set back.
    """
    used_up = effective_state(consent, int(answered_at is not None), now) == EXHAUSTED
    instant = answered_at if used_up else due_at(consent)
    return now if instant is None else min(instant, now)
