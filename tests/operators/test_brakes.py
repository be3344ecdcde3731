"""Brakes: what is stopped follows from those engaged alone, whatever came in between."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from operators.authority import Authority
from operators.brakes import BRAKE, Brake, Brakes, Reach, Stop
from tests.braking import brake, written

_TARGETS: Final[dict[Reach, tuple[str, ...]]] = {
    "EVERYTHING": ("",),
    "OPERATOR": ("alpha", "beta"),
    "ITEM": ("penalty", "tax"),
}
_PLACES: Final = [(reach, target) for reach, targets in _TARGETS.items() for target in targets]
# Each step engages a brake anew, or releases one of those engaged so far.
_STEPS: Final = st.lists(st.tuples(st.sampled_from(_PLACES), st.integers(0, 12)), max_size=12)


@given(_STEPS, st.integers(1, 5))
def test_what_is_stopped_is_what_some_engaged_brake_reaches(
    steps: list[tuple[tuple[Reach, str], int]], at_once: int
) -> None:
    changes = [
        written(number, brake(f"b-{number}", *place)) for number, (place, _) in enumerate(steps, 1)
    ]
    engaged = {change.id: Brake.from_document(change.document, version=1, changed_at=1) for change in changes}  # fmt: skip
    for number, (_, release) in enumerate(steps, 1):
        if (name := f"b-{release}") in engaged:
            gone = engaged.pop(name)
            let_go = brake(name, gone.reach, gone.target, released_at=5)
            changes.append(written(len(steps) + number, let_go, 2))
    authority = Authority.empty()
    for start in range(0, len(changes), at_once):
        authority = authority.advanced(changes[start : start + at_once])
    reached = {(each.reach, each.target) for each in engaged.values()}
    brakes = authority.brakes
    for operator_id in _TARGETS["OPERATOR"]:
        stopped = brakes.stops(operator_id, ["penalty", "tax"])
        whole = ("EVERYTHING", "") in reached
        items = frozenset(item for item in _TARGETS["ITEM"] if ("ITEM", item) in reached)
        if whole:
            assert stopped == Stop("EVERYTHING")
        elif ("OPERATOR", operator_id) in reached:
            assert stopped == Stop("OPERATOR")
        else:
            assert stopped == (Stop("ITEM", items) if items else None)
    assert [each.brake_id for each in brakes.engaged()] == sorted(engaged)
    if changes:
        assert authority.version_of(BRAKE, "b-1") in {1, 2}


def test_what_no_brake_was_ever_for_keeps_the_same_brakes() -> None:
    brakes = Brakes()
    assert brakes.advanced({}) is brakes
    assert brakes.stops("alpha", ["penalty"]) is None


@pytest.mark.parametrize(
    ("reach", "target"),
    [("EVERYTHING", "alpha"), ("OPERATOR", ""), ("OPERATOR", "A"), ("ITEM", ""), ("ITEM", "P")],
)
def test_a_brake_has_the_target_of_its_reach(reach: Reach, target: str) -> None:
    with pytest.raises(ValidationError):
        brake("b-1", reach, target)
