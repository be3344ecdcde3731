"""Whether a consent covers an ask, and when copies made under one must be gone. Pure.

Source: Opinions on improving the social credit system (2025-03-31), article 9 (no use beyond
the authorised scope); Personal Information Protection Law, articles 14 to 16 and 47 (consent
is specific, can be withdrawn, and withdrawal ends keeping). The first that applies decides:

1. CONSENT_UNKNOWN: given to another operator, whatever else is wrong with it;
2. CONSENT_NOT_GRANTED, CONSENT_REVOKED, CONSENT_EXHAUSTED, CONSENT_EXPIRED, CONSENT_PAUSED;
3. CONSENT_NOT_BEGUN: its validity has not begun;
4. CONSENT_EXCEEDED, with the field that is outside it: subject, purpose, items.

Regions and fields narrow what is served and refuse nothing: see `Cover`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from consent.model import DAY_SECONDS, ONCE, TIMES_PER_DAY, Consent, ConsentTerms
from consent.states import (
    EXHAUSTED,
    EXPIRED,
    GRANTED,
    PAUSED,
    REFUSED,
    REQUESTED,
    REVOKED,
    effective_state,
)
from creditgate.v1.consent_service_pb2 import ConsentState
from creditgate.v1.refusal_pb2 import RefusalReason

REVOKED_REMOVAL_SECONDS: Final = DAY_SECONDS
"""How soon after a revocation copies must be gone, however long their data life was."""
REPORT_SECONDS: Final = DAY_SECONDS
"""How long an operator has at least to report a removal, from when it was told of it."""

_R = RefusalReason
_DEAD: Final[Mapping[int, RefusalReason.ValueType]] = {
    REQUESTED: _R.REFUSAL_REASON_CONSENT_NOT_GRANTED,
    REFUSED: _R.REFUSAL_REASON_CONSENT_NOT_GRANTED,
    REVOKED: _R.REFUSAL_REASON_CONSENT_REVOKED,
    EXHAUSTED: _R.REFUSAL_REASON_CONSENT_EXHAUSTED,
    EXPIRED: _R.REFUSAL_REASON_CONSENT_EXPIRED,
    PAUSED: _R.REFUSAL_REASON_CONSENT_PAUSED,
}


class ConsentAsk(NamedTuple):
    """Does this consent open these items of this subject to this operator?

    ``items`` are catalogue item codes named in the request ("all I may have" names none),
    ``purpose`` a value of the proto enum Purpose, ``now`` in seconds UTC.
    """

    operator_id: str
    subject: str
    items: frozenset[str]
    purpose: int
    now: int


@dataclass(frozen=True, slots=True)
class Cover:
    """It does.

    ``fields_by_item`` are the fields opened of each item; ``regions`` the region codes it
    holds in; ``until`` (seconds, UTC) the first instant at which time alone ends it. All of it holds as long as ``version`` is that of the consent.
    """

    consent_id: str
    version: int
    fields_by_item: Mapping[str, frozenset[str]]
    regions: frozenset[str]
    until: int


@dataclass(frozen=True, slots=True)
class Gap:
    """It does not. ``field`` tells of CONSENT_EXCEEDED what is outside it, else "";
    ``begins_after`` of CONSENT_NOT_BEGUN in how many seconds its validity begins, else 0."""

    reason: RefusalReason.ValueType
    field: str = ""
    begins_after: int = 0


def gap_of(state: ConsentState.ValueType) -> Gap:
    """Return why a consent in ``state``, which is not GRANTED, opens nothing."""
    return Gap(_DEAD.get(state, _R.REFUSAL_REASON_CONSENT_UNKNOWN))


def cover(consent: Consent, ask: ConsentAsk) -> Cover | Gap:
    """Return what ``consent`` opens to ``ask``, or why it opens nothing; see the module.

    A consent for one use is judged as not used yet, also when its end is written: the
    ledger counts, and only it knows a retry, which is answered again within the validity.
    """
    if consent.operator_id != ask.operator_id:
        return Gap(_R.REFUSAL_REASON_CONSENT_UNKNOWN)
    terms = consent.terms
    state = effective_state(consent, 0, ask.now)
    if state != GRANTED and (state != EXHAUSTED or ask.now >= terms.valid_until):
        return Gap(_DEAD[state])
    if ask.now < terms.valid_from:
        begins_after = terms.valid_from - ask.now
        return Gap(_R.REFUSAL_REASON_CONSENT_NOT_BEGUN, begins_after=begins_after)
    if ask.subject != consent.subject:
        return Gap(_R.REFUSAL_REASON_CONSENT_EXCEEDED, "subject")
    if ask.purpose not in terms.purposes:
        return Gap(_R.REFUSAL_REASON_CONSENT_EXCEEDED, "purpose")
    opened = terms.fields_by_item
    if not ask.items <= opened.keys():
        return Gap(_R.REFUSAL_REASON_CONSENT_EXCEEDED, "items")
    return Cover(
        consent.consent_id,
        consent.version,
        opened,
        terms.regions,
        terms.valid_until,
    )


def used_up(terms: ConsentTerms, answered: int, answered_today: int) -> bool:
    """Tell whether one more answered request would be more than ``terms`` allow.

    ``answered`` counts all answered requests, ``answered_today`` those of the UTC day.
    """
    if terms.access_mode == TIMES_PER_DAY:
        return answered_today >= terms.times_per_day
    return terms.access_mode == ONCE and answered >= 1


def removal_deadline(
    terms: ConsentTerms, state: ConsentState.ValueType, last_served_at: int, ended_at: int
) -> int:
    """Return when the last copy served under a consent must be gone.

    Each copy may be kept for its data life after it was last served; a revocation cuts that to
    `REVOKED_REMOVAL_SECONDS`. All in seconds, UTC.
    """
    life_over = last_served_at + terms.data_life_seconds
    if state != REVOKED:
        return life_over
    return min(life_over, ended_at + REVOKED_REMOVAL_SECONDS)


CLOCKS_APART_SECONDS: Final = 60
"""So far an operator's clock may be from the gateway's: what it says of its own deeds is taken for
the nearest time that can be."""


def report_by(deadline: int, told_at: int) -> int:
    """Return by when an operator must report that copies are gone, which must be by ``deadline``.

    Nobody is late with what it could not know: it has `REPORT_SECONDS` from ``told_at``. All in
    seconds, UTC.
    """
    return max(deadline, told_at + REPORT_SECONDS)


def next_look(terms: ConsentTerms, last_served_at: int | None, now: int) -> int | None:
    """Return when the data life of the last copy under a live consent ends at the earliest, for
    all that is known at ``now``; None where the consent ends before, or by its only use.

    ``last_served_at`` is None where nothing was served. All in seconds, UTC.
    """
    if terms.access_mode == ONCE:
        return None
    life = terms.data_life_seconds
    if last_served_at is not None and last_served_at + life > now:
        at = last_served_at + life
    else:
        at = max(now, terms.valid_from) + life
    return at if at < terms.valid_until else None
