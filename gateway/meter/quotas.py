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


def too_little(claim: UsageClaim, taken: DayCount, held: int) -> NotCharged | None:
    """Return why the quota of the licence of a claim does not allow it, None where it does.

    ``held`` are the records of it that are kept for answers under way.
    """
    used, count = taken.of(claim.licence), claim.entry_count
    if used >= claim.daily_quota or used + count > claim.daily_quota:
        return quota_exhausted(claim, used)
    if count and used + held + count > claim.daily_quota:
        return quota_exhausted(claim, used + held, _SOON)
    return None


def borne(
    claim: UsageClaim, licences: Licences, taken: DayCount, held: int
) -> UsageClaim | NotCharged:
    """Return a claim with the licences that bear it, or why their quotas do not.

    Where the quota of all licences that open some of what was asked for is used up, the claim is
    refused whatever there is of it, as with one licence. But an answer that may not be empty is
    one record, and of a kind that is not known: it is served where its own licences have quota
    left, and refused alike where they have none and where it is not there (G11).
    """
    left = {number: quota - taken.of(number) for number, quota in licences.quotas.items()}
    counts = [(line.line_no, line.records) for line in claim.lines]
    spent = used_up(licences, left)
    shares = None
    if not spent or (counts and not claim.may_be_empty):
        shares = shared(counts, licences, left)
    if shares is None:
        return _short(claim, licences, spent, left)
    if held and counts:
        free = {number: records - held for number, records in left.items()}
        shares = shared(counts, licences, free)
        if shares is None:
            return _short(claim, licences, (), free, _SOON)
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
    """Return what is left behind a claim that was counted: of several licences that bear it, of
    the one with the least left."""
    quota = claim.daily_quota
    left = quota - taken.of(claim.licence)
    if claim.rests_on is not None:
        quotas = claim.rests_on.quotas
        bear = [share.licence for share in claim.borne if share.records]
        left, quota = min((quotas[each] - taken.of(each), quotas[each]) for each in bear or quotas)
    return Left(max(0, left), quota, next_day(claim), rates)


def next_day(claim: UsageClaim) -> int:
    """Return the seconds until counts by the day start anew."""
    return SECONDS_A_DAY - claim.served_at % SECONDS_A_DAY


def _short(
    claim: UsageClaim,
    licences: Licences,
    spent: tuple[str, ...],
    left: Mapping[str, int],
    retry_after: int = 0,
) -> NotCharged:
    """Return what refuses a claim that licences do not bear, for those that are ``spent`` where
    any are: what is left is that of the licence with the least."""
    concerned = spent or {
        number for line in claim.lines for number in licences.of_line[line.line_no]
    }
    least, number = min((max(0, left[number]), number) for number in concerned)
    refusal = quota_exhausted(
        claim._replace(daily_quota=licences.quotas[number]),
        licences.quotas[number] - least,
        retry_after,
    )
    return replace(refusal, licences=spent)
