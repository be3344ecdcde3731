"""The alert policy: from how much on use is unusual. Pure; `policy_file` reads it."""

from fractions import Fraction
from math import ceil
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

_Count = Annotated[int, Field(ge=1, le=10**12)]
_Share = Annotated[float, Field(ge=0, le=1)]
_Days = Annotated[int, Field(ge=1, le=28)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Sweep(_Part):
    """Records of so many different subjects on a day."""

    subjects_a_day: Annotated[int, Field(ge=1, le=200_000)]


class AskedSweep(_Part):
    """So many subjects asked about on a day, each time counted, and either ``factor`` times the
    mean of the days before, of which ``days`` had use; or, by the end of one of its hours,
    records of ``found_share`` of them at most, where that was not so in those days."""

    subjects_a_day: _Count
    found_share: _Share
    factor: Annotated[int, Field(ge=2, le=1_000)]
    days: _Days


class PurposeDrift(_Part):
    """A purpose with ``share`` of a day's records once it is over, at least so many, that had no
    more than ``share_before`` in the days before, of which ``days`` had use."""

    records_a_day: _Count
    share: _Share
    share_before: _Share
    days: _Days


class OutOfHours(_Part):
    """So many records in an hour that lies not from ``opens`` to ``closes`` on a weekday."""

    records_an_hour: _Count
    opens: Annotated[int, Field(ge=0, le=23)]
    closes: Annotated[int, Field(ge=1, le=24)]

    @model_validator(mode="after")
    def _opens_first(self) -> "OutOfHours":
        if self.opens >= self.closes:
            raise ValueError("let opens lie before closes")
        return self


class Growth(_Part):
    """So many records on a day, and ``factor`` times the mean of the days before, of which
    ``days`` had use."""

    records_a_day: _Count
    factor: Annotated[int, Field(ge=2, le=1_000)]
    days: _Days


class Unacknowledged(_Part):
    """So many records of deliveries settled on a day that were never acknowledged."""

    records_a_day: _Count


class OwedNotGiven(_Part):
    """So many records that a region charged on a day (UTC) and no operator was given, where they
    are ``share`` of all it charged."""

    records_a_day: _Count
    share: _Share

    def threshold(self, every: int) -> int:
        """Return from how many on it is unusual, where a region charged ``every`` records."""
        return max(self.records_a_day, ceil(Fraction(str(self.share)) * every))


class AlertPolicy(_Part):
    """All thresholds; ``utc_offset_hours`` places days and office hours."""

    utc_offset_hours: Annotated[int, Field(ge=-12, le=14)]
    sweep: Sweep
    purpose_drift: PurposeDrift
    out_of_hours: OutOfHours
    growth: Growth
    # Policies that were written before these are good still.
    unacknowledged: Unacknowledged = Unacknowledged(records_a_day=5_000)
    asked_sweep: AskedSweep = AskedSweep(subjects_a_day=5_000, found_share=0.05, factor=5, days=7)
    owed_not_given: OwedNotGiven = OwedNotGiven(records_a_day=50, share=0.1)
