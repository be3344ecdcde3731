"""Until when copies served under consents may be kept, by what the consents have become."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

from sqlalchemy import Connection, select

from consent.tables import CONSENT_REMOVAL
from gateway.conformance.consented import latest
from gateway.conformance.served import CutCopy
from gateway.storage.paging import pages

_REMOVAL = CONSENT_REMOVAL.c
_NONE: Final = ()


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
        duty = _duty_of(duties.get(copy.consent_id, _NONE), copy.keep_until)
        if duty is None:
            yield copy
        elif duty.is_gone(copy.keep_until):
            otherwise = duty.until_but_for_word(copy.keep_until)
            yield copy._replace(keep_until=0, gone_at=duty.removed_at, otherwise_until=otherwise)
        else:
            yield copy._replace(keep_until=duty.until_but_for_word(copy.keep_until))


class _Duty(NamedTuple):
    """A duty to remove what was served under a consent; see `consent.tables.CONSENT_REMOVAL`."""

    life_until: int
    deadline: int
    acknowledged_at: int | None
    gone_until: int
    removed_at: int | None
    spared_until: int

    def is_gone(self, keep_until: int) -> bool:
        """Tell whether a copy that the duty is about, whose data life ends at ``keep_until``
        (seconds, UTC), is gone by the operator's word."""
        return self.acknowledged_at is not None or keep_until <= self.gone_until

    def until_but_for_word(self, keep_until: int) -> int:
        """Return until when such a copy may be kept, or may not be held against its operator, if
        that had said nothing."""
        return min(max(self.deadline, self.spared_until), keep_until)


def _duty_of(duties: Sequence[_Duty], keep_until: int) -> _Duty | None:
    """Return of the duties for a consent, in order, that which a copy is about whose data life
    ends at ``keep_until`` (seconds, UTC).

    None where it was served since they began: the consent was in force still.
    """
    place = bisect_left(duties, keep_until, key=attrgetter("life_until"))
    return duties[place] if place < len(duties) else None


def _duties(records: Connection, consent_ids: Iterable[str]) -> dict[str, list[_Duty]]:
    """Return the duties there are for consents, in order; an operator's word is of all copies that
    a duty is about."""
    query = select(
        _REMOVAL.consent_id,
        _REMOVAL.life_until,
        _REMOVAL.deadline,
        _REMOVAL.acknowledged_at,
        _REMOVAL.gone_until,
        _REMOVAL.removed_at,
        _REMOVAL.spared_until,
    ).order_by(_REMOVAL.life_until)
    found: dict[str, list[_Duty]] = defaultdict(list)
    for some in pages(consent_ids):
        for consent_id, *duty in records.execute(query.where(_REMOVAL.consent_id.in_(some))):
            found[consent_id].append(_Duty(*duty))
    return found
