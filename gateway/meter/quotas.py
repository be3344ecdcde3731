"""What of the day's quotas is left for a claim: of the one licence it rests on, or of several. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.meter.holds import DayCount
from gateway.meter.licences import Licences, shared, used_up
from gateway.meter.model import SECONDS_A_DAY, Left, NotCharged, UsageClaim
from gateway.meter.rates import RateLeft

_SOON: Final = 1
"""Seconds in which an answer under way has come."""


def nothing_left(claim: UsageClaim, taken: DayCount, held: int) -> NotCharged | None:
    """Return why the quota of the licence of a claim does not allow it, None where it does.

    ``held`` are the records of it that are kept for answers under way.
    """
    used = taken.of(claim.licence)
    if used >= claim.daily_quota:
        return quota_exhausted(claim, used)
    if used + held >= claim.daily_quota:
        return quota_exhausted(claim, used + held, _SOON)
    return None


def borne(
    claim: UsageClaim, licences: Licences, taken: DayCount, held: int
) -> UsageClaim | NotCharged:
    """Return a claim with the licences that bear it, or why their quotas do not.

    Where the quota of all licences that open some of what was asked for is used up, the claim is
    refused whatever there is of it, as with one licence; until then its records may go beyond what
    is left. But an answer that may not be empty is
    one record, and of a kind that is not known: it is served where its own licences have quota
    left, and refused alike where they have none and where it is not there (G11).
    """
    left = {number: quota - taken.of(number) for number, quota in licences.quotas.items()}
    free = {number: records - held for number, records in left.items()}
    counts = [(line.line_no, line.records) for line in claim.lines]
    is_one = bool(counts) and not claim.may_be_empty
    spent = used_up(licences, left)
    lacking = spent or used_up(licences, free)
    shares = shared(counts, licences, free) if is_one or not lacking else None
    if shares is None:
        quota = sum(licences.quotas[each] for each in lacking)
        refusal = quota_exhausted(claim._replace(daily_quota=quota), quota, 0 if spent else _SOON)
        return replace(refusal, licences=spent)
    first = shares[0].licence
    return claim._replace(licence=first, daily_quota=licences.quotas[first], borne=shares)


def quota_exhausted(claim: UsageClaim, taken: int, retry_after: int = 0) -> NotCharged:
    """Return what refuses a claim for its quota, of which so much is ``taken``; to be tried again
    when it starts anew, where ``retry_after`` does not tell when."""
    anew, quota = next_day(claim), claim.daily_quota
    return NotCharged(
        RefusalReason.REFUSAL_REASON_QUOTA_EXHAUSTED,
        retry_after or anew,
        Left(max(0, quota - taken), quota, anew, ()),
    )


def left_after(claim: UsageClaim, taken: DayCount, rates: tuple[RateLeft, ...]) -> Left:
    """Return what is left behind a claim that was counted: where several licences open its
    records, of all of them together, for the kind of record that the least is left for."""
    quota = claim.daily_quota
    left = quota - taken.of(claim.licence)
    if claim.rests_on is not None:
        quotas = claim.rests_on.quotas
        by_number = {number: quotas[number] - taken.of(number) for number in quotas}
        left, quota = _least(claim, claim.rests_on, by_number)
    return Left(max(0, left), quota, next_day(claim), rates)


def next_day(claim: UsageClaim) -> int:
    """Return the seconds until counts by the day start anew."""
    return SECONDS_A_DAY - claim.served_at % SECONDS_A_DAY


def _least(claim: UsageClaim, licences: Licences, left: Mapping[str, int]) -> tuple[int, int]:
    """Return how many records more of a kind that a claim has may be served by what is ``left`` of
    the licences that open it, and their quotas together: of the kind with the least. Of a claim
    without records the kinds are those that were asked for."""
    opening = [licences.of_line[line.line_no] for line in claim.lines]
    return min(
        (sum(max(0, left[each]) for each in some), sum(licences.quotas[each] for each in some))
        for some in (opening or licences.needed or [licences.quotas])
    )
