"""G4, G10: what is known of a consent elsewhere was so within the lease, whatever the network does."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from hypothesis import event, given, settings
from hypothesis import strategies as st

from consent.states import GRANTED, PAUSED, REVOKED
from creditgate.v1.consent_service_pb2 import ConsentState
from creditgate.v1.federation_service_pb2 import (
    ConsentStanding,
    FollowConsentsRequest,
    FollowConsentsResponse,
)
from gateway.federation.home.standings import IDLE_SECONDS, MOST_FOLLOWED, Standing, Standings
from tests.examples import examples

LEASE: Final = 10.0
NAMES: Final = ("consents/a", "consents/b")
STATES: Final = (GRANTED, PAUSED, REVOKED)


@dataclass
class Seconds:
    """A clock that moves only when set."""

    at: float = 0.0

    def __call__(self) -> float:
        return self.at


def told(name: str, state: ConsentState.ValueType, version: int = 1) -> ConsentStanding:
    """Return a standing."""
    return ConsentStanding(consent=name, state=state, version=version)


@dataclass
class There:
    """The region that keeps the consents, and the two directions of the network to it.

    It answers as ConsentTelling does; what it says arrives in order, and as late as it may.
    """

    clock: Seconds
    states: dict[str, ConsentState.ValueType] = field(
        default_factory=lambda: dict.fromkeys(NAMES, GRANTED)
    )
    history: dict[str, list[tuple[float, ConsentState.ValueType]]] = field(
        default_factory=lambda: {name: [(0.0, GRANTED)] for name in NAMES}
    )
    asked: deque[FollowConsentsRequest] = field(default_factory=deque[FollowConsentsRequest])
    said: deque[FollowConsentsResponse] = field(default_factory=deque[FollowConsentsResponse])
    followed: set[str] = field(default_factory=set[str])

    def change(self, name: str, state: ConsentState.ValueType) -> None:
        """Let a consent come to stand otherwise, and say so."""
        self.states[name] = state
        self.history[name].append((self.clock.at, state))
        if name in self.followed:
            self.said.append(FollowConsentsResponse(standings=[told(name, state)]))

    def answer(self) -> None:
        """Take in the oldest question on its way."""
        if self.asked:
            request = self.asked.popleft()
            self.followed.update(request.consents)
            standings = [told(name, self.states[name]) for name in request.consents]
            self.said.append(FollowConsentsResponse(standings=standings))
            self.said.append(FollowConsentsResponse(answers=request.ask))

    def broken(self) -> None:
        """Lose the stream, with all that is under way."""
        self.asked.clear()
        self.said.clear()
        self.followed.clear()

    def was(self, name: str, state: ConsentState.ValueType, since: float) -> bool:
        """Tell whether a consent stood so at some instant from ``since`` on."""
        changes = self.history[name]
        ends = [at for at, _ in changes[1:]] + [float("inf")]
        return any(
            stood == state and end >= since for (_, stood), end in zip(changes, ends, strict=True)
        )


_steps = st.lists(
    st.one_of(
        st.tuples(st.just("want"), st.sampled_from(NAMES)),
        st.tuples(st.just("change"), st.tuples(st.sampled_from(NAMES), st.sampled_from(STATES))),
        st.tuples(st.just("pass"), st.floats(0.0, 6.0)),
        st.sampled_from([("ask", ""), ("answer", ""), ("hear", ""), ("break", "")]),
        # Most of the time the network works.
        st.just(("talk", "")),
    ),
    max_size=60,
)


@settings(max_examples=examples(400))
@given(_steps)
def test_what_is_known_was_so_within_the_lease(steps: list[tuple[str, object]]) -> None:
    clock = Seconds()
    there, standings = There(clock), Standings(clock, LEASE)
    standings.begin()
    for step, what in steps:
        match step, what:
            case "want", str(name):
                standings.want(name)
            case "change", (str(name), int(state)):
                there.change(name, ConsentState.ValueType(state))
            case "pass", float(seconds):
                clock.at += seconds
            case "ask", _:
                there.asked.append(standings.ask())
            case "answer", _:
                there.answer()
            case "hear", _ if there.said:
                standings.heard(there.said.popleft())
            case "talk", _:
                there.asked.append(standings.ask())
                while there.asked:
                    there.answer()
                while there.said:
                    standings.heard(there.said.popleft())
            case "break", _:
                there.broken()
                standings.begin()
            case _:
                pass
        for name in NAMES:
            known = standings.known(name)
            if known is not None:
                event("known")
                assert there.was(name, known.state, clock.at - LEASE)


def asked_and_told(standings: Standings, *said: ConsentStanding) -> None:
    """Ask, and hear the answer at once."""
    request = standings.ask()
    standings.heard(FollowConsentsResponse(standings=said, answers=request.ask))


def following(*names: str) -> tuple[Standings, Seconds]:
    """Return what follows consents that were told to be granted just now, and its clock."""
    clock = Seconds()
    standings = Standings(clock, LEASE)
    standings.begin()
    for name in names:
        standings.want(name)
    asked_and_told(standings, *(told(name, GRANTED) for name in names))
    return standings, clock


def test_the_lease_counts_from_the_question_not_from_its_answer() -> None:
    standings, clock = following("consents/a")
    late = standings.ask()
    clock.at += LEASE - 1
    standings.heard(FollowConsentsResponse(answers=late.ask))
    assert standings.known("consents/a") == Standing(GRANTED, 1)
    clock.at += 1
    assert standings.known("consents/a") is None


def test_what_the_last_stream_told_holds_through_a_break_for_its_lease() -> None:
    standings, clock = following("consents/a")
    standings.begin()
    clock.at += LEASE / 2
    assert standings.known("consents/a") == Standing(GRANTED, 1)
    clock.at += LEASE / 2
    assert standings.known("consents/a") is None


def test_a_revocation_told_by_a_new_stream_holds_before_it_has_answered() -> None:
    standings, _ = following("consents/a")
    standings.begin()
    standings.ask()
    standings.heard(FollowConsentsResponse(standings=[told("consents/a", REVOKED, 2)]))
    assert standings.known("consents/a") == Standing(REVOKED, 2)


def test_a_new_stream_asks_for_all_that_is_followed() -> None:
    standings, _ = following(*NAMES)
    standings.begin()
    assert set(standings.ask().consents) == set(NAMES)
    assert not standings.ask().consents


def test_only_what_changed_is_news() -> None:
    standings, _ = following("consents/a")
    again = [told("consents/a", GRANTED), told("consents/b", REVOKED)]
    assert not standings.heard(FollowConsentsResponse(standings=again))
    revoked = [told("consents/a", REVOKED, 2)]
    assert standings.heard(FollowConsentsResponse(standings=revoked)) == revoked


def test_what_nobody_wants_any_more_is_dropped_there_too() -> None:
    standings, clock = following(*NAMES)
    clock.at += IDLE_SECONDS / 2
    standings.want("consents/b")
    clock.at += IDLE_SECONDS / 2 + 1
    assert list(standings.ask().dropped) == ["consents/a"]
    assert len(standings) == 1


def test_no_more_are_followed_than_a_stream_may() -> None:
    standings = Standings(Seconds(), LEASE)
    standings.begin()
    for number in range(MOST_FOLLOWED + 1):
        standings.want(f"consents/{number}")
    assert len(standings) == MOST_FOLLOWED
    assert standings.ask().consents[0] == "consents/1"
