"""Stages follow from what stands, its time and the policy, and from nothing else."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.conformance.model import MISSING, NONE, RECTIFY, SUSPENDED, THROTTLED, WARNED
from gateway.conformance.policy_file import read_policy
from gateway.conformance.stages import Against, next_boundary, settled, stage_of, worst
from tests.clock import NOW
from tests.conformance.enforcing import CONTENT_ALTERED, DAY, EXPIRED_HELD

POLICY = read_policy()
STAGES = st.sampled_from([NONE, WARNED, RECTIFY, THROTTLED, SUSPENDED])


@st.composite
def against(draw: st.DrawFn) -> Against:
    """Return open findings of any kind."""
    counted_from = NOW + draw(st.integers(-40 * DAY, 0))
    return Against(
        draw(st.integers(0, 12)),
        counted_from,
        counted_from + draw(st.integers(DAY, 20 * DAY)),
        draw(st.booleans()),
    )


def test_a_finding_goes_from_warning_to_suspension() -> None:
    found = Against(EXPIRED_HELD, NOW, NOW + 7 * DAY, pardoned=False)
    stages = [stage_of(POLICY, found, NOW + days * DAY) for days in (0, 1, 2, 6, 7, 11, 12, 99)]
    assert stages == [
        WARNED,
        WARNED,
        RECTIFY,
        RECTIFY,
        THROTTLED,
        THROTTLED,
        SUSPENDED,
        SUSPENDED,
    ]


def test_a_grave_finding_is_not_merely_warned_of() -> None:
    assert (
        stage_of(POLICY, Against(CONTENT_ALTERED, NOW, NOW + DAY, pardoned=False), NOW) == RECTIFY
    )


def test_what_is_for_information_entails_nothing() -> None:
    assert stage_of(POLICY, Against(MISSING, 0, 0, pardoned=False), NOW) == NONE


def test_what_was_pardoned_never_suspends() -> None:
    found = Against(CONTENT_ALTERED, NOW, NOW + DAY, pardoned=True)
    assert stage_of(POLICY, found, NOW + 999 * DAY) == THROTTLED


@given(found=against(), sooner=st.integers(0, 30 * DAY), later=st.integers(0, 30 * DAY))
def test_a_stage_only_grows_with_time(found: Against, sooner: int, later: int) -> None:
    stages = [stage_of(POLICY, found, NOW + sooner + more) for more in (0, later)]
    assert stages == sorted(stages)


@given(found=against(), seconds=st.integers(0, 60 * DAY))
def test_between_two_boundaries_no_stage_changes(found: Against, seconds: int) -> None:
    now = NOW + seconds
    boundary = next_boundary(POLICY, found, now)
    last = now + 365 * DAY if boundary is None else boundary - 1
    assert stage_of(POLICY, found, last) == stage_of(POLICY, found, now)


@given(all_against=st.lists(against(), max_size=6), seconds=st.integers(0, 60 * DAY))
def test_of_findings_alike_the_earliest_decides(all_against: list[Against], seconds: int) -> None:
    now = NOW + seconds
    merged: dict[tuple[int, bool], Against] = {}
    for each in all_against:
        before = merged.get((each.kind, each.pardoned), each)
        merged[each.kind, each.pardoned] = Against(
            each.kind,
            min(each.counted_from, before.counted_from),
            min(each.deadline, before.deadline),
            each.pardoned,
        )
    assert worst(POLICY, merged.values(), now) == worst(POLICY, all_against, now)


@given(present=STAGES, reached=STAGES, cleared=st.booleans())
def test_only_what_is_cleared_ends_a_suspension(present: int, reached: int, cleared: bool) -> None:
    stage = settled(present, reached, cleared=cleared)  # pyright: ignore[reportArgumentType]
    assert stage == (SUSPENDED if present == SUSPENDED and not cleared else reached)
