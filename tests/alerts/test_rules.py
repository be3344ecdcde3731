"""What is unusual follows from counts alone, and each rule from its own."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creditgate.v1.alert_service_pb2 import AlertKind
from gateway.alerts.policy import AlertPolicy
from gateway.alerts.policy_file import read_alert_policy
from gateway.alerts.rules import (
    HOURS,
    Counts,
    HourUse,
    Unusual,
    hour_of,
    start_of,
    unacknowledged,
    unusual,
)
from gateway.alerts.sketch import EMPTY, estimate, with_subjects

POLICY = read_alert_policy()
# 2026-03-30, a Monday.
MONDAY = 20_542
NOON = 12


def at(day: int, hour: int = NOON, purpose: int = 1) -> HourUse:
    """Return what use of an hour is counted by."""
    return HourUse(day * HOURS + hour, purpose)


def found(
    day: int, records: Mapping[HourUse, int], subjects: int = 0, policy: AlertPolicy = POLICY
) -> list[Unusual]:
    """Return what is unusual on a day."""
    counts = {use: Counts(count) for use, count in records.items()}
    return list(unusual(day, counts, subjects, (day + 1) * HOURS, policy))


def asked_on(days: Mapping[int, tuple[int, int]]) -> list[Unusual]:
    """Return what is unusual on the Monday, of subjects asked about and found so many days
    before it."""
    counts = {at(MONDAY - back): Counts(0, *each) for back, each in days.items()}
    return list(unusual(MONDAY, counts, 0, (MONDAY + 1) * HOURS, POLICY))


def asked_sweep(asked: int, threshold: int = 5_000) -> list[Unusual]:
    """Return the alert on so many subjects asked about."""
    kind = AlertKind.ALERT_KIND_ASKED_SWEEP
    return [Unusual(kind, MONDAY * HOURS, 0, asked, threshold)]


@pytest.mark.parametrize(("asked", "told"), [(4_999, 0), (5_000, 1), (20_000, 1)])
def test_asking_about_many_who_have_no_records_is_told_from_the_first_day(
    asked: int, told: int
) -> None:
    assert asked_on({0: (asked, 0)}) == asked_sweep(asked) * told


@pytest.mark.parametrize(("found_", "told"), [(1_000, 1), (1_001, 0)])
def test_few_that_have_records_hide_nothing(found_: int, told: int) -> None:
    assert asked_on({0: (20_000, found_)}) == asked_sweep(20_000) * told


def test_who_finds_few_as_ever_is_told_of_only_beyond_its_usual() -> None:
    usual_ = dict.fromkeys(range(1, 8), (6000, 60))
    assert asked_on({0: (29_999, 0), **usual_}) == []
    assert asked_on({0: (30_000, 0), **usual_}) == asked_sweep(30_000, 30_000)
    # Who used to find many is told of at once.
    rich = dict.fromkeys(range(1, 8), (6000, 5000))
    assert asked_on({0: (6_000, 10), **rich}) == asked_sweep(6_000)


def test_asking_about_many_more_than_usual_is_told_whatever_is_found() -> None:
    usual_ = dict.fromkeys(range(1, 8), (2000, 1900))
    assert asked_on({0: (9_999, 9_000), **usual_}) == []
    assert asked_on({0: (10_000, 9_000), **usual_}) == asked_sweep(10_000, 10_000)
    # Six days tell nothing usual yet.
    del usual_[7]
    assert asked_on({0: (10_000, 9_000), **usual_}) == []


def test_policies_from_before_questions_were_counted_are_good_still() -> None:
    older = POLICY.model_dump()
    del older["asked_sweep"]
    assert AlertPolicy.model_validate(older) == POLICY


def usual_days(count: int, records: int, purpose: int = 1) -> dict[HourUse, int]:
    """Return use at noon on days before the Monday."""
    return {at(MONDAY - day, purpose=purpose): records for day in range(1, count + 1)}


def test_the_shipped_policy_places_days_and_hours_by_its_offset() -> None:
    # 2026-03-30T00:00+08:00
    midnight = MONDAY * 86_400 - 8 * 3_600
    assert hour_of(midnight, POLICY) == MONDAY * HOURS
    assert hour_of(midnight - 1, POLICY) == MONDAY * HOURS - 1
    assert start_of(MONDAY * HOURS, POLICY) == midnight


@pytest.mark.parametrize(("records", "told"), [(4_999, 0), (5_000, 1)])
def test_deliveries_that_nobody_acknowledged_are_told_by_their_records(
    records: int, told: int
) -> None:
    unusual_ = Unusual(AlertKind.ALERT_KIND_UNACKNOWLEDGED, MONDAY * HOURS, 0, records, 5_000)
    assert list(unacknowledged(MONDAY, records, POLICY)) == [unusual_] * told


def test_a_policy_from_before_there_were_deliveries_is_good_still() -> None:
    older = POLICY.model_dump()
    del older["unacknowledged"]
    assert AlertPolicy.model_validate(older) == POLICY


@pytest.mark.parametrize(("subjects", "told"), [(9_999, 0), (10_000, 1)])
def test_a_sweep_is_told_by_its_subjects(subjects: int, told: int) -> None:
    alerts = found(MONDAY, {at(MONDAY): 1}, subjects)
    sweep = Unusual(AlertKind.ALERT_KIND_SWEEP, MONDAY * HOURS, 0, subjects, 10_000)
    assert alerts == [sweep] * told


@pytest.mark.parametrize(
    ("day", "hour", "told"),
    [
        (MONDAY, 8, False),
        (MONDAY, 19, False),
        (MONDAY, 7, True),
        (MONDAY, 20, True),
        (MONDAY + 4, NOON, False),
        (MONDAY + 5, NOON, True),
        (MONDAY + 6, NOON, True),
        (MONDAY + 7, NOON, False),
    ],
)
def test_bulk_is_told_out_of_office_hours_and_on_weekends(day: int, hour: int, told: bool) -> None:
    use = {at(day, hour, 1): 1_200, at(day, hour, 2): 800}
    kind = AlertKind.ALERT_KIND_OUT_OF_HOURS
    assert found(day, use) == [Unusual(kind, day * HOURS + hour, 0, 2_000, 2_000)] * told
    assert not found(day, {at(day, hour): 1_999})


@pytest.mark.parametrize(
    ("before", "today", "told"),
    [
        ((7, 1_000), 5_000, True),
        ((7, 1_000), 4_999, False),
        ((7, 1_001), 5_004, False),
        ((7, 1_001), 5_005, True),
        ((7, 1), 4_999, False),
        ((6, 1), 1_000_000, False),
    ],
)
def test_growth_is_told_where_there_is_something_to_grow_from(
    before: tuple[int, int], today: int, told: bool
) -> None:
    alerts = found(MONDAY, {**usual_days(*before), at(MONDAY): today})
    assert [each.kind for each in alerts] == [AlertKind.ALERT_KIND_GROWTH] * told


@pytest.mark.parametrize(
    ("rare", "today", "told"),
    [(50, (1_000, 1_000), True), (51, (1_000, 1_000), False), (50, (1_001, 1_000), False)],
)
def test_drift_is_told_of_a_purpose_that_was_rare_and_rules_the_day(
    rare: int, today: tuple[int, int], told: bool
) -> None:
    records = usual_days(10, 95) | {at(MONDAY - 1, 13, 2): rare}
    records |= {at(MONDAY, purpose=1): today[0], at(MONDAY, purpose=2): today[1]}
    drift = Unusual(AlertKind.ALERT_KIND_PURPOSE_DRIFT, MONDAY * HOURS, 2, today[1], 1_000)
    assert [each for each in found(MONDAY, records) if each.purpose == 2] == [drift] * told


@given(
    st.dictionaries(
        st.builds(
            HourUse, st.integers((MONDAY - 40) * HOURS, MONDAY * HOURS + 23), st.integers(1, 3)
        ),
        st.integers(0, 8_000),
    )
)
def test_only_the_day_and_the_four_weeks_before_it_count(records: dict[HourUse, int]) -> None:
    recent = {use: n for use, n in records.items() if use.hour >= (MONDAY - 28) * HOURS}
    assert found(MONDAY, records) == found(MONDAY, recent)
    for alert in found(MONDAY, records):
        assert alert.counted >= alert.threshold
        assert alert.hour // HOURS == MONDAY


@pytest.mark.parametrize("count", [0, 1, 500, 10_000, 60_000])
def test_different_subjects_are_counted_to_a_hundredth_however_often_they_come(count: int) -> None:
    subjects = [f"91000000DEM{number:07d}" for number in range(count)]
    sketch = with_subjects(with_subjects(EMPTY, subjects), subjects[: count // 2])
    assert abs(estimate(sketch) - count) <= count / 100
