"""What is unusual in a day of an operator's use. Pure.

Days and hours are those of the policy's offset, numbered since the epoch. A rule looks at
counts alone, so an alert can tell no more than counts.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Final, NamedTuple

from creditgate.v1.alert_service_pb2 import AlertKind
from gateway.alerts.policy import AlertPolicy

HOURS: Final = 24
DAYS_BEFORE: Final = 28
"""How many days before one are looked at."""

# The epoch was a Thursday; Monday is 0.
_FIRST_WEEKDAY: Final = 3
_SATURDAY: Final = 5


class HourUse(NamedTuple):
    """What use is counted by: an hour and a Purpose."""

    hour: int
    purpose: int


class Counts(NamedTuple):
    """What is counted of it: records, subjects asked about, and those that had records; a
    subject each time."""

    records: int
    asked: int = 0
    found: int = 0


class Unusual(NamedTuple):
    """Something unusual: since which hour, of which Purpose (0 for none), how much was counted
    and from how much on it is unusual."""

    kind: AlertKind.ValueType
    hour: int
    purpose: int
    counted: int
    threshold: int


def hour_of(at: int, policy: AlertPolicy) -> int:
    """Return the hour of an instant (seconds, UTC)."""
    return at // 3_600 + policy.utc_offset_hours


def start_of(hour: int, policy: AlertPolicy) -> int:
    """Return when an hour begins (seconds, UTC)."""
    return (hour - policy.utc_offset_hours) * 3_600


def unusual(
    day: int, counts: Mapping[HourUse, Counts], subjects: int, over: int, policy: AlertPolicy
) -> Iterator[Unusual]:
    """Give what is unusual on a day.

    ``counts`` are those of this day and up to `DAYS_BEFORE` before, ``subjects`` the
    different ones with records on this day. Hours before ``over`` are over: nothing comes to
    them any more. What more use can undo is judged of such hours alone, so that it does not
    depend on when somebody looks: shares of a day once that is over, and how few of those asked
    about have records by the ends of hours.
    """
    records = {use: each.records for use, each in counts.items()}
    today, before = (
        _by_purpose(records, day, 1),
        _by_purpose(records, day - DAYS_BEFORE, DAYS_BEFORE),
    )
    used = {use.hour // HOURS for use, count in records.items() if count}
    days = len([each for each in used if day - DAYS_BEFORE <= each < day])
    if subjects >= policy.sweep.subjects_a_day:
        yield Unusual(
            AlertKind.ALERT_KIND_SWEEP, day * HOURS, 0, subjects, policy.sweep.subjects_a_day
        )
    yield from _asked_sweep(day, counts, over, policy)
    if over >= (day + 1) * HOURS:
        yield from _drift(day, today, before, days, policy)
    yield from _out_of_hours(day, records, policy)
    growth, count = policy.growth, today.total()
    if days >= growth.days:
        threshold = max(growth.records_a_day, -(-growth.factor * before.total() // days))
        if count >= threshold:
            yield Unusual(AlertKind.ALERT_KIND_GROWTH, day * HOURS, 0, count, threshold)


def unacknowledged(day: int, records: int, policy: AlertPolicy) -> Iterator[Unusual]:
    """Give what is unusual in the records of deliveries that were settled on a day and never
    acknowledged."""
    threshold = policy.unacknowledged.records_a_day
    if records >= threshold:
        kind = AlertKind.ALERT_KIND_UNACKNOWLEDGED
        yield Unusual(kind, day * HOURS, 0, records, threshold)


def _asked_sweep(
    day: int, counts: Mapping[HourUse, Counts], over: int, policy: AlertPolicy
) -> Iterator[Unusual]:
    sweep, share = policy.asked_sweep, Fraction(str(policy.asked_sweep.found_share))
    asked, found = Counter[int](), Counter[int]()
    asked_before, found_before = 0, 0
    days: set[int] = set()
    for use, count in counts.items():
        its_day = use.hour // HOURS
        if its_day == day:
            asked[use.hour] += count.asked
            found[use.hour] += count.found
        elif day - DAYS_BEFORE <= its_day < day and count.asked:
            asked_before += count.asked
            found_before += count.found
            days.add(its_day)
    kind, known = AlertKind.ALERT_KIND_ASKED_SWEEP, len(days) >= sweep.days
    if known:
        many = max(sweep.subjects_a_day, -(-sweep.factor * asked_before // len(days)))
        if asked.total() >= many:
            yield Unusual(kind, day * HOURS, 0, asked.total(), many)
            return
        if found_before <= share * asked_before:
            # It finds few as ever.
            return
    asked_by, found_by = 0, 0
    for hour in range(day * HOURS, min(over, (day + 1) * HOURS)):
        asked_by += asked[hour]
        found_by += found[hour]
        if asked_by >= sweep.subjects_a_day and found_by <= share * asked_by:
            yield Unusual(kind, day * HOURS, 0, asked_by, sweep.subjects_a_day)
            return


def _drift(
    day: int, today: Counter[int], before: Counter[int], days: int, policy: AlertPolicy
) -> Iterator[Unusual]:
    drift = policy.purpose_drift
    if days < drift.days:
        return
    share, share_before = Fraction(str(drift.share)), Fraction(str(drift.share_before))
    threshold = max(drift.records_a_day, -(-share * today.total() // 1))
    for purpose, count in sorted(today.items()):
        if count >= threshold and before[purpose] <= share_before * before.total():
            yield Unusual(
                AlertKind.ALERT_KIND_PURPOSE_DRIFT, day * HOURS, purpose, count, int(threshold)
            )


def _out_of_hours(
    day: int, records: Mapping[HourUse, int], policy: AlertPolicy
) -> Iterator[Unusual]:
    bulk = policy.out_of_hours
    is_weekend = (day + _FIRST_WEEKDAY) % 7 >= _SATURDAY
    by_hour: Counter[int] = Counter()
    for use, count in records.items():
        if use.hour // HOURS == day:
            by_hour[use.hour] += count
    for hour, count in sorted(by_hour.items()):
        is_open = not is_weekend and bulk.opens <= hour % HOURS < bulk.closes
        if not is_open and count >= bulk.records_an_hour:
            kind = AlertKind.ALERT_KIND_OUT_OF_HOURS
            yield Unusual(kind, hour, 0, count, bulk.records_an_hour)


def _by_purpose(records: Mapping[HourUse, int], first: int, days: int) -> Counter[int]:
    counts: Counter[int] = Counter()
    for use, count in records.items():
        if first <= use.hour // HOURS < first + days:
            counts[use.purpose] += count
    return counts
