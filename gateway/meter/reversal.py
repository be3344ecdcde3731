"""Rows that credit what of an answer was not received. Pure.

A reversal has request, chunk, client, licence, consent, purpose and payload of the answer it
credits, a decision and an instant of its own, and of the answer's lines as many records, at the
answer's prices, as it has entries. Where several licences bear the answer's, those that were
filled last are given back to first.
"""

from collections import Counter
from collections.abc import Mapping

from gateway.meter.licences import credited, shares_of, shares_text
from gateway.meter.model import (
    REVERSAL,
    LineCount,
    UsageRow,
    lines_of,
    lines_text,
    pack_entries,
)


def reversal(
    answer: UsageRow,
    entries: tuple[int, ...],
    line_of: Mapping[int, int],
    *,
    usage_index: int,
    decision_id: str,
    now: int,
) -> UsageRow:
    """Return the row that credits ``entries`` of an answer, some or all of its revisions.

    ``line_of`` gives the number of the revenue line of each; ``usage_index`` is the row's own
    place in the usage log; ``now`` in seconds UTC. Raises LookupError for an entry whose line
    is not known, or not one of the answer's.
    """
    counts = Counter(line_of[each] for each in entries)
    prices = {line.line_no: line.unit_price for line in lines_of(answer.lines)}
    lines = tuple([LineCount(line_no, count, prices[line_no]) for line_no, count in counts.items()])
    licence, licences = _resting(answer, counts)
    return answer._replace(
        licence=licence,
        decision_id=decision_id,
        served_at=now,
        entry_count=len(entries),
        fee=sum(line.records * line.unit_price for line in lines),
        lines=lines_text(lines),
        entries=pack_entries(entries),
        kind=REVERSAL,
        usage_index=usage_index,
        records_digest=b"",
        reversed_index=answer.usage_index,
        asked_items="",
        asked_subjects=0,
        opened_entries=0,
        region_records=0,
        licences=licences,
    )


def _resting(answer: UsageRow, counts: Mapping[int, int]) -> tuple[str, str | None]:
    """Return the licence whose quota a credit of so many records of each line is given back to,
    and of several what each gets."""
    shares = shares_of(answer.licences)
    if not shares:
        return answer.licence, answer.licences
    numbers = [line.line_no for line in lines_of(answer.lines)]
    given_back = credited(numbers, shares, counts)
    licence = given_back[0].licence
    return licence, shares_text(given_back) if len(given_back) > 1 else ""
