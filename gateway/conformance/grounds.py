"""Until when copies served under consents may be kept, by what the consents have become."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sqlalchemy import Connection, select

from consent.tables import CONSENT_REMOVAL
from gateway.conformance.consented import latest
from gateway.conformance.served import CutCopy
from gateway.storage.paging import pages

_REMOVAL = CONSENT_REMOVAL.c


def kept(records: Connection, copies: Iterable[CutCopy], now: int) -> dict[bytes, CutCopy]:
    """Return copies by their element; of those alike the one by which it is judged at ``now``
    (seconds, UTC), as one consent has it.

    Two consents may have opened the same, and one of them is enough: that which lets its copy be
    kept, of the newest revision, the longest. Nothing of another is lent to it: a copy of a former
    revision does not become one of the newest by what was served under a consent that is over.
    """
    found: dict[bytes, CutCopy] = {}
    for copy in grounds(records, copies):
        known = found.get(copy.element, copy)
        found[copy.element] = max(
            copy, known, key=lambda each: (each.keep_until > now, each.sequence, each.keep_until)
        )
    return found


def grounds(records: Connection, copies: Iterable[CutCopy]) -> Iterator[CutCopy]:
    """Yield copies, those of a revision under one consent once, each with until when that lets it
    be kept: 0 where its removal was acknowledged."""
    alike = latest(copies).values()
    duties = _duties(records, {copy.consent_id for copy in alike})
    for copy in alike:
        duty = duties.get(copy.consent_id)
        if duty is None:
            yield copy
            continue
        until = duty.until(copy.keep_until)
        if until:
            yield copy._replace(keep_until=until)
        else:
            otherwise = duty.until_but_for_word(copy.keep_until)
            yield copy._replace(keep_until=0, gone_at=duty.removed_at, otherwise_until=otherwise)


class _Duty(NamedTuple):
    """The duty to remove what was served under a consent; see `consent.tables.CONSENT_REMOVAL`."""

    deadline: int
    acknowledged_at: int | None
    life_until: int
    gone_until: int
    removed_at: int | None

    def until(self, keep_until: int) -> int:
        """Return until when a copy may be kept whose data life ends at ``keep_until`` (seconds,
        UTC)."""
        is_gone = self.acknowledged_at is not None and keep_until <= self.life_until
        if is_gone or keep_until <= self.gone_until:
            return 0
        return self.until_but_for_word(keep_until)

    def until_but_for_word(self, keep_until: int) -> int:
        """Return the same as if the operator had said nothing."""
        # One that was served since the duty began: the consent was in force still.
        return keep_until if keep_until > self.life_until else min(self.deadline, keep_until)


def _duties(records: Connection, consent_ids: Iterable[str]) -> dict[str, _Duty]:
    """Return the duties there are for consents; an operator's word is of all copies that a duty
    is about."""
    query = select(
        _REMOVAL.consent_id,
        _REMOVAL.deadline,
        _REMOVAL.acknowledged_at,
        _REMOVAL.life_until,
        _REMOVAL.gone_until,
        _REMOVAL.removed_at,
    )
    return {
        row[0]: _Duty(*row[1:])
        for some in pages(consent_ids)
        for row in records.execute(query.where(_REMOVAL.consent_id.in_(some)))
    }
