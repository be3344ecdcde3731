"""The states of a consent, and what moves it from one to the next. Pure.

    REQUESTED --grant--> GRANTED --pause--> PAUSED --resume--> GRANTED
    REQUESTED --refuse--> REFUSED
    REQUESTED, GRANTED, PAUSED --revoke--> REVOKED
    REQUESTED, GRANTED, PAUSED --expire--> EXPIRED
    GRANTED, PAUSED --exhaust--> EXHAUSTED
    EXPIRED, EXHAUSTED --revoke--> REVOKED, where copies may still be held

REFUSED, REVOKED, EXPIRED and EXHAUSTED are final: nothing revives a dead consent (G3).
One that time or use has ended can still be taken back, since copies made under it are kept
and a retry of its answers may be answered again (Personal Information Protection Law,
articles 15 and 47). Time and counts end a consent at the instant, whether or not that was
written yet.
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
LIVE: Final = frozenset({GRANTED, PAUSED})
"""In force, though nothing is served under one that is paused."""

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
    (EXPIRED, "revoke"): REVOKED,
    (EXHAUSTED, "revoke"): REVOKED,
}
BY_ITSELF: Final[Mapping[ConsentState.ValueType, Move]] = {EXPIRED: "expire", EXHAUSTED: "exhaust"}
"""What time and use do of themselves, and the moves that write it down."""


def moved(
    state: ConsentState.ValueType, move: Move, *, held: bool
) -> ConsentState.ValueType | None:
    """Return the state after ``move``; None where the state does not allow it.

    ``held`` tells whether copies may be held that were served under the consent: of one that is
    dead, and under which none are, nothing is left to be taken back.
    """
    return None if state in FINAL and not held else _MOVES.get((state, move))


def due_at(consent: Consent) -> int | None:
    """Return the instant (seconds, UTC) at which time alone ends it; None for a dead one."""
    if consent.state == REQUESTED:
        return min(consent.answer_until, consent.terms.valid_until)
    return consent.terms.valid_until if consent.state in OPEN else None


def is_over(consent: Consent, now: int) -> bool:
    """Tell whether time has ended ``consent`` by ``now`` (seconds, UTC), and that is not
    written yet."""
    due = due_at(consent)
    return due is not None and now >= due


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


def ended_by_itself_at(consent: Consent, spent_at: int | None, now: int) -> int:
    """Return when time or use has ended ``consent``, which stood until then (seconds, UTC).

    ``spent_at`` is when the answer was given that used it up, None where none was. Not
    after ``now``, when that is found: a clock may have been set back.
    """
    instant = due_at(consent) if spent_at is None else spent_at
    return now if instant is None else min(instant, now)
