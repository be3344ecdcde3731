"""How consents that another region keeps stand there, as far as that is known now.

What was heard is good for the lease, counted from when the question was asked that it answers:
on no wall clock, and however long an answer was under way. So a revocation that cannot be
heard of ends in refusals, never in an answer (G4, G10).
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from creditgate.v1.consent_service_pb2 import ConsentState
from creditgate.v1.federation_service_pb2 import (
    ConsentStanding,
    FollowConsentsRequest,
    FollowConsentsResponse,
)

AT_ONCE: Final = 1_000
"""Most consents in one message (FollowConsentsRequest.consents)."""
MOST_FOLLOWED: Final = 100_000
IDLE_SECONDS: Final = 3_600.0
"""A consent that nobody relied on for so long is followed no longer."""
_MOST_UNANSWERED: Final = 64


class Standing(NamedTuple):
    """How a consent stands: its state there, unspecified for one that is not known there or
    does not hold here, and its version."""

    state: ConsentState.ValueType
    version: int


class _Heard(NamedTuple):
    standings: Mapping[str, Standing]
    until: float


class Standings:
    """The consents of one region that are followed, and what was heard of them.

    `want`, `begin`, `ask` and `heard` are one event loop's own; `known` may be asked by any
    thread. ``monotonic`` gives seconds.
    """

    def __init__(self, monotonic: Callable[[], float], lease_seconds: float) -> None:
        self._monotonic = monotonic
        self._lease_seconds = lease_seconds
        # By when each was wanted last, the longest ago first.
        self._wanted: OrderedDict[str, float] = OrderedDict()
        self._new: dict[str, None] = {}
        self._dropped: dict[str, None] = {}
        self._asked_at: dict[int, float] = {}
        self._ask = 0
        self._told: dict[str, Standing] = {}
        self._until = float("-inf")
        self._former = _Heard({}, float("-inf"))

    def __len__(self) -> int:
        return len(self._wanted)

    def want(self, consent: str) -> bool:
        """Follow ``consent``, a name there, from now on; tell whether it was not followed."""
        new = consent not in self._wanted
        self._wanted[consent] = self._monotonic()
        self._wanted.move_to_end(consent)
        if new:
            self._new[consent] = None
            self._dropped.pop(consent, None)
            if len(self._wanted) > MOST_FOLLOWED:
                self._drop_oldest()
        return new

    def known(self, consent: str) -> Standing | None:
        """Return how ``consent`` stands, None where that is not known now."""
        now = self._monotonic()
        former = self._former
        # What this stream told is newer than what the last one did, and good for as long.
        told = self._told.get(consent)
        if told is not None:
            return told if now < max(self._until, former.until) else None
        return former.standings.get(consent) if now < former.until else None

    def begin(self) -> None:
        """A new stream begins: all that is followed has to be told anew.

        What the last one told is good for as long as it was.
        """
        if self._told:
            self._former = _Heard(self._told, self._until)
        self._told, self._until = {}, float("-inf")
        self._ask, self._asked_at = 0, {}
        self._new, self._dropped = dict.fromkeys(self._wanted), {}

    def ask(self) -> FollowConsentsRequest:
        """Return the next question of the stream, to be sent at once."""
        now = self._monotonic()
        while self._wanted and next(iter(self._wanted.values())) < now - IDLE_SECONDS:
            self._drop_oldest()
        self._ask += 1
        self._asked_at[self._ask] = now
        if len(self._asked_at) > _MOST_UNANSWERED:
            del self._asked_at[next(iter(self._asked_at))]
        return FollowConsentsRequest(
            ask=self._ask, consents=_taken(self._new), dropped=_taken(self._dropped)
        )

    @property
    def more(self) -> bool:
        """Whether there is more to be sent than one question held."""
        return bool(self._new or self._dropped)

    def heard(self, response: FollowConsentsResponse) -> list[ConsentStanding]:
        """Take in what was told; return the standings that are news."""
        news: list[ConsentStanding] = []
        for told in response.standings:
            if told.consent not in self._wanted:
                continue
            standing = Standing(told.state, told.version)
            if self._told.get(told.consent) != standing:
                news.append(told)
            self._told[told.consent] = standing
        answered = [ask for ask in self._asked_at if ask <= response.answers]
        if answered:
            # After the standings: who looks in between sees what was good before.
            self._until = self._asked_at[answered[-1]] + self._lease_seconds
        for ask in answered:
            del self._asked_at[ask]
        return news

    def _drop_oldest(self) -> None:
        consent, _ = self._wanted.popitem(last=False)
        self._told.pop(consent, None)
        if consent in self._new:
            del self._new[consent]
        else:
            self._dropped[consent] = None


def _taken(consents: dict[str, None]) -> list[str]:
    """Return the first of ``consents``, as many as go into one message, and take them out."""
    some = list(consents)[:AT_ONCE]
    for consent in some:
        del consents[consent]
    return some
