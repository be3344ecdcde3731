"""The agreement policy: by when operators agree with their usage logs. Pure; `policy_file`
reads it."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

_Life = Annotated[timedelta, Field(ge=timedelta(seconds=1), le=timedelta(days=366))]
_OperatorId = Annotated[str, StringConstraints(min_length=1, max_length=40)]


class AgreementPolicy(BaseModel):
    """What follows from use that its operator has not agreed with; see policy.yaml.

    ``refuse`` counts from the end of ``remind``; None: answers are never refused for it.
    ``excused`` are refused nothing before their day (UTC).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    remind: _Life
    refuse: _Life | None
    excused: Annotated[Mapping[_OperatorId, date], Field(max_length=1_000)] = {}

    @property
    def remind_seconds(self) -> int:
        """How long after a use its operator is reminded."""
        return int(self.remind.total_seconds())

    @property
    def refuse_seconds(self) -> int:
        """How long after that its answers are refused, 0 where they never are."""
        return 0 if self.refuse is None else int(self.refuse.total_seconds())

    def refused_from(self, operator_id: str, since: int) -> int | None:
        """Return from when on an operator is refused answers whose oldest use that it has not
        agreed with is of ``since``; None for never. Seconds, UTC."""
        if self.refuse is None:
            return None
        due = since + self.remind_seconds + self.refuse_seconds
        return max(due, self.excused_until(operator_id))

    def excused_until(self, operator_id: str) -> int:
        """Return until when an operator is refused nothing, 0 where it is not excused. Seconds,
        UTC."""
        day = self.excused.get(operator_id)
        if day is None:
            return 0
        return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
