"""G11: of one question all that is refused is refused alike, whatever was found."""

from collections.abc import Mapping, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.meter.holds import DayUse
from gateway.meter.licences import Licences
from gateway.meter.model import Charged, LineCount, NotCharged, Outcome, TooFast
from gateway.meter.rates import MICROS, Arrivals, Debit, RateKey
from gateway.meter.rules import NO_CONSENTS, Reckoning
from tests.examples import examples
from tests.meter.world import NOW, claim

NUMBERS = ("L-1", "L-2", "L-3")
LINES = (1, 2, 3)
BURST = 30
KEY = RateKey("alpha", "limit", "")
SUBJECT_KEY = RateKey("alpha", "by-subject", "company")
FOUND: Sequence[Mapping[int, int]] = ({}, {1: 1}, {2: 1}, {3: 1}, {1: 5}, {1: 2, 2: 3, 3: 4})
_opens = st.sets(st.sampled_from(NUMBERS), min_size=1).map(lambda some: tuple(sorted(some)))
_of_line = st.fixed_dictionaries(dict.fromkeys(LINES, _opens))
_by_number = st.fixed_dictionaries(dict.fromkeys(NUMBERS, st.integers(0, 7)))
_quotas = st.fixed_dictionaries(dict.fromkeys(NUMBERS, st.integers(1, 6)))
_arrival = st.sampled_from([None, 0, BURST - 1, BURST, BURST + 1, 3 * BURST])


class Situation:
    """What is left of quotas and limits when a question comes."""

    def __init__(
        self,
        licences: Licences | None,
        used: Mapping[str, int],
        held: int,
        arrival: int | None,
    ) -> None:
        self._licences = licences
        self._used = DayUse(sum(used.values()), held, used)
        self._arrival = arrival

    def judged(
        self, found: Mapping[int, int], *, by_name: bool, too_large: bool = False
    ) -> Outcome:
        """Return what becomes of the question where so many records of each line are found."""
        records = sum(found.values())
        debits: tuple[Debit, ...] = ()
        arrivals = None
        if self._arrival is not None:
            debits = (Debit(KEY, MICROS, BURST, max(1, records), 1, of_records=True),)
            if records or not by_name:
                debits += (Debit(SUBJECT_KEY, MICROS, 1, 1, least=0 if by_name else 1),)
            # The subject's is used up where it lies ahead at all, and never by far.
            known = {KEY: NOW + self._arrival, SUBJECT_KEY: NOW + min(self._arrival, 4)}
            known = {key: at * MICROS for key, at in known.items()}
            owed = {KEY: max(0, self._arrival - BURST) * MICROS}
            arrivals = Arrivals(known, NOW * MICROS, owed)
        made = claim(
            entries=range(1, records + 1),
            lines=tuple(LineCount(line, count, 7) for line, count in found.items()),
            licence=NUMBERS[0],
            daily_quota=4,
            rests_on=self._licences,
            may_be_empty=not by_name,
            debits=debits,
            is_too_large=too_large,
        )
        reckoning = Reckoning(NOW, set(), [], {made.quota_day: self._used}, NO_CONSENTS, arrivals)
        return reckoning.judge(made)


def told(outcome: Outcome) -> object:
    """Return all that a refusal tells."""
    if isinstance(outcome, TooFast):
        return outcome
    assert isinstance(outcome, NotCharged)
    return outcome.reason, outcome.retry_after, outcome.left, outcome.licences


@settings(max_examples=examples(400))
@given(st.booleans(), _of_line, _quotas, _by_number, st.integers(0, 3), _arrival)
def test_of_one_question_all_that_is_refused_is_refused_alike(
    several: bool,
    of_line: dict[int, tuple[str, ...]],
    quotas: dict[str, int],
    used: dict[str, int],
    held: int,
    arrival: int | None,
) -> None:
    needed = frozenset(map(frozenset, of_line.values()))
    licences = Licences(quotas, of_line, needed) if several else None
    situation = Situation(licences, used, held, arrival)
    outcomes = [situation.judged(found, by_name=False) for found in FOUND]
    if isinstance(outcomes[0], Charged):
        assert {type(each) for each in outcomes} == {Charged}
    else:
        assert len({told(each) for each in outcomes}) == 1
    # By name a record may be given where another is not, and that is charged.
    absent = situation.judged({}, by_name=True)
    for line in LINES:
        there = situation.judged({line: 1}, by_name=True)
        assert isinstance(there, Charged) or told(there) == told(absent)


@settings(max_examples=examples(100))
@given(_of_line, _quotas, _by_number, st.integers(0, 3), _arrival)
def test_what_is_too_large_is_told_where_all_else_would_be_given(
    of_line: dict[int, tuple[str, ...]],
    quotas: dict[str, int],
    used: dict[str, int],
    held: int,
    arrival: int | None,
) -> None:
    licences = Licences(quotas, of_line, frozenset(map(frozenset, of_line.values())))
    situation = Situation(licences, used, held, arrival)
    nothing = situation.judged({}, by_name=False)
    too_large = situation.judged({1: 9}, by_name=False, too_large=True)
    assert not isinstance(too_large, Charged)
    if not isinstance(nothing, Charged):
        assert told(too_large) == told(nothing)
