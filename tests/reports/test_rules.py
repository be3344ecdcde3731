"""Until when reports hold, compared with sets of records counted second by second."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from creditgate.credit_report import VALID_SECONDS, ReportPeriod
from creditgate.transparency.facts import NO_END
from gateway.reports.model import IssuedReport, State
from gateway.reports.rules import (
    LiveRevision,
    StatedRevision,
    expiry,
    first_change,
    standing,
)

T = 50
"""When reports here are served, at the event `H`."""
H = 10
_NOW = st.integers(T, 100)
_AT = st.integers(0, 100)


@dataclass(frozen=True)
class Revision:
    """A revision with its whole history."""

    sequence: int
    published_at: int
    disclosed_from: int
    disclosed_until: int
    ended_at: int | None

    def disclosed(self, at: int) -> bool:
        """Tell whether it is disclosed at an instant."""
        begun = max(self.published_at, self.disclosed_from)
        ended = self.ended_at is not None and self.ended_at <= at
        return begun <= at < self.disclosed_until and not ended


@st.composite
def revisions(draw: st.DrawFn) -> Revision:
    """Give a revision that an event up to `H` or after it fixed, and one may have ended."""
    known = draw(st.booleans())
    published_at = draw(st.integers(0, T) if known else st.integers(T, 100))
    disclosed_from = draw(_AT)
    until = draw(st.integers(disclosed_from + 1, 120) | st.just(NO_END))
    # What ended before the report was read is no part of this.
    ended_at = draw(st.none() | st.integers(max(published_at, T + 1), 101))
    sequence = draw(st.integers(1, H) if known else st.integers(H + 1, 20))
    return Revision(sequence, published_at, disclosed_from, until, ended_at)


@st.composite
def periods(draw: st.DrawFn) -> ReportPeriod:
    """Give a period, with bounds or without."""
    start = draw(st.none() | _AT)
    until = draw(st.none() | st.integers((start or 0) + 1, 130))
    return ReportPeriod.model_validate({"from": start, "until": until})


@given(st.lists(revisions(), max_size=6), periods(), _NOW, st.sets(st.integers(0, 5)))
def test_a_report_holds_exactly_as_long_as_what_it_states_is_what_is_disclosed(
    history: list[Revision], period: ReportPeriod, now: int, withheld: set[int]
) -> None:
    within = [
        each for each in history if period.overlaps(each.disclosed_from, each.disclosed_until)
    ]
    at_first = [
        each
        for each in within
        if each.sequence <= H and each.disclosed_from <= T < each.disclosed_until
    ]
    hidden = [each for place, each in enumerate(at_first) if place in withheld]
    stated = [each for each in at_first if each not in hidden]
    read = [each for each in history if each.published_at <= now]

    change = first_change(
        H,
        T,
        period,
        [
            StatedRevision(
                each.disclosed_until,
                each.ended_at if each.ended_at is not None and each.ended_at <= now else None,
            )
            for each in stated
        ],
        [
            LiveRevision(
                each.sequence, each.published_at, each.disclosed_from, each.disclosed_until
            )
            for each in read
            if each not in stated and not (each.ended_at is not None and each.ended_at <= now)
        ],
        now,
    )

    disclosed = {each for each in within if each.disclosed(now)} - set(hidden)
    assert (change is None) == (disclosed == set(stated))
    assert change is None or T <= change <= now


_END = st.none() | st.integers(T, 200)


@given(st.integers(T + 1, 200), _END, _END, _END, _NOW)
def test_what_ended_a_report_first_says_how_it_ended(
    expires_at: int,
    changed_at: int | None,
    consent_ended_at: int | None,
    removed_at: int | None,
    now: int,
) -> None:
    report = issued(expires_at)
    changed_at = changed_at if changed_at is not None and changed_at <= now else None

    found = standing(report, changed_at, consent_ended_at, removed_at, now)

    over = [at for at in (expires_at if expires_at <= now else None, removed_at) if at is not None]
    ends = {
        State.CREDIT_REPORT_STATE_REVOKED: consent_ended_at,
        State.CREDIT_REPORT_STATE_SUPERSEDED: changed_at,
        State.CREDIT_REPORT_STATE_EXPIRED: min(over, default=None),
    }
    ended = [at for at in ends.values() if at is not None]
    assert found.since == min(ended, default=None)
    assert found.holds == (not ended)
    assert found.holds or ends[found.state] == found.since


def test_a_report_is_never_valid_for_longer_than_what_it_states_may_be_shown_and_kept() -> None:
    assert expiry(T, None, None) == T + VALID_SECONDS
    assert expiry(T, T + 60, None) == T + 60
    assert expiry(T, T + 60, T + 30) == T + 30
    assert expiry(T, NO_END, T + 2 * VALID_SECONDS) == T + VALID_SECONDS


def issued(expires_at: int) -> IssuedReport:
    """Return a report that nobody took back."""
    return IssuedReport(
        report_id="0000000032-" + "0" * 24,
        issued_by="operators/alpha",
        request_id="r-1",
        request_digest=b"",
        actor="alpha-one",
        subject="",
        items=("penalty",),
        period=ReportPeriod(),
        purpose=1,
        consent="",
        check_code="",
        disclosure_sequence=H,
        stated=(),
        served_at=T,
        issued_at=T,
        expires_at=expires_at,
        document_digest=b"",
        document="",
    )
