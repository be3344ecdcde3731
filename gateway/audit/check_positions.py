"""The check of how far sources were followed into the log of decisions: every number up to
there is logged, or still looked for, and none both."""

from typing import Any

from sqlalchemy import Connection, func, select

from gateway.audit.following import positions_in
from gateway.audit.lost import lost_in
from gateway.audit.sources import name_of
from gateway.audit.tables import DECISIONS, FOLLOWED, GAPS, LOST, Source
from gateway.storage.paging import pages
from gateway.transparency.faults import Faults


def check_positions(evidence: Connection, faults: Faults) -> None:
    """Check the positions of all sources. Raises EnoughFaults."""
    for table in (FOLLOWED, GAPS, LOST):
        stray = select(func.count()).where(table.c.source.not_in([*map(int, Source)]))
        faults.require(
            not evidence.execute(stray).scalar_one(), table.name, "there are rows of no source"
        )
    known = DECISIONS.c.source_sequence
    for source, sequence, gaps in positions_in(evidence):
        of_source = DECISIONS.c.source == source

        def first(query: Any) -> int:
            return evidence.execute(query).scalar() or 0

        newest = first(select(func.max(known)).where(of_source))
        logged = first(select(func.count()).where(of_source, known <= sequence))
        lost = lost_in(evidence, source)
        place = f"audit_followed, {name_of(source)}"
        faults.require(newest == sequence, place, "it was followed to another number")
        looked_for = len(gaps) + sum(map(len, lost))
        faults.require(
            logged + looked_for == sequence, place, "numbers are neither logged nor looked for"
        )
        both = any(
            first(select(func.count()).where(of_source, known.in_(some))) for some in pages(gaps)
        ) or any(
            first(select(func.count()).where(of_source, known.between(each.start, each.stop - 1)))
            for each in lost
        )
        ends = [0, *(edge for each in lost for edge in (each.start, each.stop)), sequence + 1]
        apart = ends == sorted(ends) and not any(gap in each for each in lost for gap in gaps)
        faults.require(
            apart and all(0 < gap <= sequence for gap in gaps),
            place,
            "numbers are looked for twice, or are not there yet",
        )
        faults.require(not both, place, "numbers are looked for that are logged")
