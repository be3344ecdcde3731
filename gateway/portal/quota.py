"""The daily quota: what each licence in force allows today, and what is left of it."""

from typing import Final, NamedTuple

from gateway.portal.visit import Visit

_DAY: Final = 86_400


class Quota(NamedTuple):
    """A licence's quota of records a UTC day, and ``used`` of them today. ``left`` is never
    negative."""

    licence: str
    records: int
    used: int

    @property
    def left(self) -> int:
        """Records that may still be had today."""
        return max(self.records - self.used, 0)


async def quotas(visit: Visit) -> list[Quota]:
    """Return the quotas of the licences in force, in order of number."""
    operator_id = visit.operator.operator_id
    used = await visit.read(visit.parts.quota.on_day, operator_id, visit.now // _DAY)
    return [
        Quota(licence.number, licence.daily_record_quota, used.of(licence.number))
        for licence in visit.parts.view().authority.licences_of.get(operator_id, ())
        if licence.in_force(visit.now)
    ]
