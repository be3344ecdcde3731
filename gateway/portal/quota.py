"""The daily quota: what each licence in force allows today, and what is left of it."""

from typing import NamedTuple

from gateway.portal.visit import Visit


class Quota(NamedTuple):
    """A licence's quota of records a UTC day, ``used`` of them by all licences together, and
    when it begins anew (seconds, UTC). ``left`` is never negative."""

    licence: str
    records: int
    used: int

    @property
    def left(self) -> int:
        """Records that may still be had today."""
        return max(self.records - self.used, 0)


def quotas(visit: Visit, used_today: int) -> list[Quota]:
    """Return the quotas of the licences in force, in order of number."""
    licences = visit.parts.view().authority.licences_of.get(visit.operator.operator_id, ())
    return [
        Quota(licence.number, licence.daily_record_quota, used_today)
        for licence in licences
        if licence.in_force(visit.now)
    ]
