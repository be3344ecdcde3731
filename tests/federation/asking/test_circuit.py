"""Circuit breakers: a region that does not answer is left alone for a while, and not for ever."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.federation.asking.circuit import (
    CLOSED,
    FAILURES_TO_OPEN,
    FIRST_REST_SECONDS,
    LONGEST_REST_SECONDS,
    TRIAL_SECONDS,
    TRIAL_WAIT_SECONDS,
    Circuit,
)


def opened(at: float = 0.0) -> Circuit:
    circuit = CLOSED
    for _ in range(FAILURES_TO_OPEN):
        circuit = circuit.begun(at).failed(at)
    return circuit


def test_it_opens_after_failures_in_a_row_and_not_before() -> None:
    circuit = CLOSED
    for _ in range(FAILURES_TO_OPEN - 1):
        circuit = circuit.failed(0.0)
        assert circuit.wait(0.0) is None
    assert circuit.failed(0.0).wait(0.0) == FIRST_REST_SECONDS
    assert circuit.succeeded().failed(0.0).wait(0.0) is None


def test_after_its_rest_one_call_goes_through_on_trial() -> None:
    circuit = opened()
    assert circuit.wait(FIRST_REST_SECONDS) is None
    trying = circuit.begun(FIRST_REST_SECONDS)
    # Kept back, but not told to stay away for as long as a trial may take that is lost.
    assert trying.wait(FIRST_REST_SECONDS) == TRIAL_WAIT_SECONDS
    assert trying.wait(FIRST_REST_SECONDS + TRIAL_SECONDS - 0.5) == 0.5
    assert trying.wait(FIRST_REST_SECONDS + TRIAL_SECONDS) is None
    assert trying.succeeded() == CLOSED
    assert trying.failed(2.0).wait(2.0) == 2 * FIRST_REST_SECONDS
    assert trying.undecided().wait(FIRST_REST_SECONDS) is None


def test_a_failure_from_before_it_opened_does_not_prolong_its_rest() -> None:
    assert opened().failed(0.5) == opened()


@given(st.lists(st.sampled_from(("begin", "fail", "succeed", "undecided", "later")), max_size=200))
def test_whatever_happens_it_lets_a_call_through_again_within_bounds(steps: list[str]) -> None:
    circuit, now = CLOSED, 0.0
    for each in steps:
        match each:
            case "begin":
                if circuit.wait(now) is None:
                    circuit = circuit.begun(now)
            case "fail":
                circuit = circuit.failed(now)
            case "succeed":
                circuit = circuit.succeeded()
            case "undecided":
                circuit = circuit.undecided()
            case _:
                now += 1.0
        wait = circuit.wait(now)
        assert wait is None or 0 < wait <= max(LONGEST_REST_SECONDS, TRIAL_SECONDS)
        assert circuit.wait(now + max(LONGEST_REST_SECONDS, TRIAL_SECONDS)) is None
