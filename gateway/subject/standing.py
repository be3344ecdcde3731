"""Consents of one subject with what time and counts have made of them, page by page; and what is
new of its deputies."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from consent.delegation import Delegation, Power
from consent.model import MOST_ANSWER_SECONDS, Consent
from consent.notices import SqlNotices
from consent.removals import Removal
from consent.sql import SqlConsents
from consent.states import EXHAUSTED, EXPIRED, FINAL, LIVE, OPEN, REQUESTED
from consent.uses import Use
from creditgate.v1.consent_service_pb2 import ConsentState
from gateway.subject.acting import Acting

PAGE: Final = 20
_CHUNK: Final = 100
_MOST_CHUNKS: Final = 10
MOST_WAITING: Final = 200
_ENDED_BY_ITSELF: Final = frozenset({EXPIRED, EXHAUSTED})
_NEW_SECONDS: Final = 30 * 86_400
"""So long it is news who became a deputy, to whoever has not seen it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One consent, its state now, and how much it was used."""

    consent: Consent
    state: ConsentState.ValueType
    use: Use

    def revocable(self, removal: Removal | None) -> bool:
        """Tell whether there is anything to take back: a consent in force, or what is still
        held under one that time or use has ended, as ``removal``, the duty to remove it, tells: not
        what was taken back already in the region that gave it.
        """
        owed = removal is not None and removal.acknowledged_at is None
        held = owed and self.use.last_at is not None
        return self.state in LIVE or (held and self.state in _ENDED_BY_ITSELF)


@dataclass(frozen=True, slots=True)
class Found:
    """Some consents, newest first; ``next_before`` asks for older ones, "" for no more."""

    consents: tuple[Standing, ...]
    next_before: str


def standing(consents: SqlConsents, consent_id: str, now: int) -> Standing | None:
    """Return one consent as it stands at ``now`` (seconds, UTC); None for an unknown id."""
    consent = consents.get(consent_id)
    return None if consent is None else _standing(consents, (consent,), now)[0]


def openable(
    consents: SqlConsents, acting: Acting, consent_ids: Collection[str]
) -> Collection[str]:
    """Return which of some consents of its subject ``acting`` may open; nothing is kept from who
    represents it."""
    if acting.represents:
        return consent_ids
    read = tuple(consents.readable(consent_ids).values())
    return {
        each.consent.consent_id
        for each in _standing(consents, read, acting.now)
        if each.consent.subject == acting.subject and acting.may_open(each.consent, each.state)
    }


def found(
    consents: SqlConsents,
    acting: Acting,
    states: Collection[ConsentState.ValueType],
    *,
    before: str = "",
    limit: int = PAGE,
) -> Found:
    """Return up to ``limit`` consents in ``states`` that ``acting`` may open, newest first.

    Looks through a bounded number of them; what is left is found from ``next_before``.
    """
    # Nothing that was written dead is ever alive again.
    written = OPEN if not FINAL.intersection(states) else ()
    kept: list[Standing] = []
    for _ in range(_MOST_CHUNKS):
        chunk = consents.listed(subject=acting.subject, before=before, states=written, limit=_CHUNK)
        for each in _standing(consents, chunk, acting.now):
            before = each.consent.consent_id
            if each.state not in states or not acting.may_open(each.consent, each.state):
                continue
            if len(kept) == limit:
                return Found(tuple(kept), kept[-1].consent.consent_id)
            kept.append(each)
        if len(chunk) < _CHUNK:
            return Found(tuple(kept), "")
    return Found(tuple(kept), before)


def waiting(consents: SqlConsents, acting: Acting) -> tuple[Standing, ...]:
    """Return the requests that wait for an answer ``acting`` may give, newest first.

    Ids begin with the time of asking, and no request waits longer than
    `MOST_ANSWER_SECONDS`: older ones need not be looked at. The oldest of more than
    `MOST_WAITING` are not shown until others are answered.
    """
    oldest = f"{max(acting.now - MOST_ANSWER_SECONDS, 0):010x}"
    chunk = consents.listed(
        subject=acting.subject, after=oldest, states=(REQUESTED,), limit=MOST_WAITING
    )
    return tuple(
        each
        for each in _standing(consents, chunk, acting.now)
        if each.state == REQUESTED and acting.under(Power.ANSWER, each.consent) is not None
    )


def newly_accepted(notices: SqlNotices, acting: Acting) -> tuple[Delegation, ...]:
    """Return the delegations whose acceptance is new to ``acting``, the last one first: a deputy
    sees nothing of others' delegations. Blocks."""
    if not acting.represents:
        return ()
    found = notices.accepted(acting.principal, acting.subject)
    return tuple(each for each in found if (each.accepted_at or 0) > acting.now - _NEW_SECONDS)


def _standing(consents: SqlConsents, chunk: tuple[Consent, ...], now: int) -> tuple[Standing, ...]:
    settled = consents.settled(chunk, now)
    uses = consents.uses([consent.consent_id for consent in settled])
    return tuple(
        Standing(consent, consent.state, uses.get(consent.consent_id, Use())) for consent in settled
    )
