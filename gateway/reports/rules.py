"""Until when a report holds, and whether it still does. Pure.

A report states what was disclosed of some items at one instant. It holds as long as the same
is disclosed: what was stated and ended since, and what was disclosed since, ends it.
"""

from collections.abc import Iterable
from typing import NamedTuple

from creditgate.credit_report import VALID_SECONDS, ReportPeriod
from gateway.reports.model import IssuedReport, Standing, State


class StatedRevision(NamedTuple):
    """A revision that a report states: until when it is disclosed, and when an event ended
    it, None while none did (seconds UTC)."""

    disclosed_until: int
    ended_at: int | None


class LiveRevision(NamedTuple):
    """A revision of the report's items that no event has ended, and that the report does
    not state. ``sequence`` is that of the event that fixed it at ``published_at``."""

    sequence: int
    published_at: int
    disclosed_from: int
    disclosed_until: int


def expiry(issued_at: int, usable_until: int | None, kept_until: int | None) -> int:
    """Return the first instant a report is not valid any more.

    ``usable_until`` is when the first record it states may not be shown any more (G2),
    ``kept_until`` when the consent it rests on has its copies removed; None for never.
    """
    ends = (issued_at + VALID_SECONDS, usable_until, kept_until)
    return min(end for end in ends if end is not None)


def first_change(
    sequence: int,
    served_at: int,
    period: ReportPeriod,
    stated: Iterable[StatedRevision],
    live: Iterable[LiveRevision],
    now: int,
) -> int | None:
    """Return since when what a report states is not what is disclosed; None while it is.

    It was read at event ``sequence``, at the instant ``served_at``. What was disclosed then
    and is not stated was outside the requester's licence, and is no change.
    """
    changes: list[int] = []
    for revision in stated:
        end = revision.disclosed_until
        if revision.ended_at is not None:
            end = min(end, revision.ended_at)
        changes.append(end)
    for revision in live:
        known = revision.sequence <= sequence
        begins = (
            revision.disclosed_from
            if known
            else max(revision.disclosed_from, revision.published_at)
        )
        if (
            period.overlaps(revision.disclosed_from, revision.disclosed_until)
            and not (known and begins <= served_at)
            and begins <= now < revision.disclosed_until
        ):
            changes.append(begins)
    return min((change for change in changes if change <= now), default=None)


def standing(
    report: IssuedReport,
    changed_at: int | None,
    consent_ended_at: int | None,
    removed_at: int | None,
    now: int,
) -> Standing:
    """Return whether ``report`` holds at ``now``: what ended it first says how.

    ``changed_at`` is `first_change`, or when it was issued where its proof is believed no more;
    ``consent_ended_at`` when the subject took back the consent it rests on, ``removed_at`` when
    the copies made under that, as this is one, were acknowledged to be removed.
    """
    ends = [
        (report.revoked_at or None, State.CREDIT_REPORT_STATE_REVOKED),
        (consent_ended_at, State.CREDIT_REPORT_STATE_REVOKED),
        (
            report.expires_at if report.expires_at <= now else None,
            State.CREDIT_REPORT_STATE_EXPIRED,
        ),
        (removed_at, State.CREDIT_REPORT_STATE_EXPIRED),
        (changed_at, State.CREDIT_REPORT_STATE_SUPERSEDED),
    ]
    ended = [(at, state) for at, state in ends if at is not None]
    if not ended:
        return Standing(State.CREDIT_REPORT_STATE_CURRENT, None)
    at, state = min(ended, key=lambda end: end[0])
    return Standing(state, at)
