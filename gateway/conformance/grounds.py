"""Until when copies served under consents may be kept, by what the consents have become."""

from collections.abc import Iterable, Iterator

from sqlalchemy import Connection, case, select

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
    ended = _ended_consents(records, {copy.consent_id for copy in alike})
    for copy in alike:
        end = ended.get(copy.consent_id, copy.keep_until)
        yield copy._replace(keep_until=min(end, copy.keep_until))


def _ended_consents(records: Connection, consent_ids: Iterable[str]) -> dict[str, int]:
    """Return until when copies under consents that ended may be kept (seconds, UTC).

    Nothing is served under one once the removal was acknowledged, so that word is of all
    copies there are.
    """
    until = case((_REMOVAL.acknowledged_at.is_not(None), 0), else_=_REMOVAL.deadline)
    query = select(_REMOVAL.consent_id, until)
    return {
        consent_id: at
        for some in pages(consent_ids)
        for consent_id, at in records.execute(query.where(_REMOVAL.consent_id.in_(some)))
    }
