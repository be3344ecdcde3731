"""The steps by which holdings are followed: from the disclosure and the usage ledger, both in
the store of records, into the store of evidence."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from sqlalchemy import Connection, Executable, bindparam, insert, select, update

from consent.queries import ConsentQueries
from gateway.conformance.blocks import Block, blocks_of, by_block, marked
from gateway.conformance.consented import keep_copies
from gateway.conformance.holdings_tables import (
    ENDED_BLOCKS,
    REVISION_BLOCKS,
    SERVED_BLOCKS,
)
from gateway.conformance.positions import (
    EVENTS,
    answers_to,
    come_further,
    come_to,
    come_to_answers,
)
from gateway.conformance.revisions import EventFacts, read_events
from gateway.conformance.served import Served, ServedReader, served_operators
from gateway.storage.bounded import LONG_SECONDS, bounded
from gateway.storage.engines import Engines, reading
from gateway.storage.paging import pages

_EVENTS_AT_ONCE: Final = 4_096
_ANSWERS_AT_ONCE: Final = 16_000
_REVISIONS: Final = (
    update(REVISION_BLOCKS)
    .where(REVISION_BLOCKS.c.block == bindparam("of_block"))
    .values(untils=bindparam("new_untils"), elements=bindparam("new_elements"))
)
_ENDED: Final = (
    update(ENDED_BLOCKS)
    .where(ENDED_BLOCKS.c.block == bindparam("of_block"))
    .values(ended=bindparam("new_ended"))
)
_SERVED: Final = (
    update(SERVED_BLOCKS)
    .where(
        SERVED_BLOCKS.c.operator_id == bindparam("of_operator"),
        SERVED_BLOCKS.c.block == bindparam("of_block"),
    )
    .values(whole=bindparam("new_whole"), cut=bindparam("new_cut"))
)


class HoldingsSteps:
    """One step after the other; each is one transaction of the store of evidence."""

    def __init__(self, engines: Engines) -> None:
        self._records = engines.records
        self._evidence = engines.evidence
        self._answers = ServedReader(ConsentQueries(engines.records))
        self._operators: deque[str] = deque()

    def step(self) -> bool:
        """Take the next step; return whether there may be more to do.

        Events and operators take turns, so that none waits for another's bulk.
        """
        more_events = self._follow_events()
        self._operators = self._operators or self._behind()
        if not self._operators:
            return more_events
        operator_id = self._operators.popleft()
        if self._follow_answers(operator_id):
            self._operators.append(operator_id)
        return more_events or bool(self._operators)

    def _behind(self) -> deque[str]:
        """Return the operators that were served more than was followed."""
        with reading(self._evidence) as evidence:
            followed = come_to_answers(evidence)
        with reading(self._records) as records:
            last = served_operators(records)
        return deque(each for each, position in last.items() if position > followed.get(each, 0))

    def _follow_events(self) -> bool:
        with reading(self._evidence) as evidence:
            at = come_to(evidence, EVENTS)
        with reading(self._records) as records:
            read = read_events(records, at, _EVENTS_AT_ONCE)
        if read.position > at:
            with bounded(self._evidence, LONG_SECONDS) as connection:
                _keep_revisions(connection, read)
                _mark_ended(connection, read.ended)
                come_further(connection, EVENTS, read.position)
        return read.position - at == _EVENTS_AT_ONCE

    def _follow_answers(self, operator_id: str) -> bool:
        log = answers_to(operator_id)
        with reading(self._evidence) as evidence:
            at = come_to(evidence, log)
        with reading(self._records) as records:
            served = self._answers.read(records, operator_id, at, _ANSWERS_AT_ONCE)
        if served.position > at:
            with bounded(self._evidence, LONG_SECONDS) as connection:
                _mark_served(connection, operator_id, served)
                keep_copies(connection, operator_id, served.copies)
                come_further(connection, log, served.position)
        return served.more


def _keep_revisions(connection: Connection, read: EventFacts) -> None:
    for number, facts in by_block(read.fixed):
        stored = select(REVISION_BLOCKS).where(REVISION_BLOCKS.c.block == number)
        row = connection.execute(stored).one_or_none()
        if row is None:
            block = Block.empty(number).with_facts(facts)
            values = {"untils": block.untils.tobytes(), "elements": block.elements.tobytes()}
            connection.execute(insert(REVISION_BLOCKS).values(block=number, **values))
            continue
        block = Block.unpacked(number, bytes(row.untils), bytes(row.elements)).with_facts(facts)
        connection.execute(
            _REVISIONS,
            {
                "of_block": number,
                "new_untils": block.untils.tobytes(),
                "new_elements": block.elements.tobytes(),
            },
        )


def _mark_ended(connection: Connection, ended: Sequence[int]) -> None:
    if not ended:
        return
    sequences = np.array(ended, np.int64)
    known = {
        row.block: bytes(row.ended)
        for some in pages(blocks_of(sequences))
        for row in connection.execute(select(ENDED_BLOCKS).where(ENDED_BLOCKS.c.block.in_(some)))
    }
    changed = marked(known, sequences)
    old = [
        {"of_block": number, "new_ended": bits}
        for number, bits in changed.items()
        if number in known
    ]
    new = [
        {"block": number, "ended": bits} for number, bits in changed.items() if number not in known
    ]
    _write(connection, (_ENDED, old), (insert(ENDED_BLOCKS), new))


def _mark_served(connection: Connection, operator_id: str, served: Served) -> None:
    own = select(SERVED_BLOCKS).where(SERVED_BLOCKS.c.operator_id == operator_id)
    known = {
        row.block: (bytes(row.whole), bytes(row.cut))
        for some in pages({*blocks_of(served.whole), *blocks_of(served.cut)})
        for row in connection.execute(own.where(SERVED_BLOCKS.c.block.in_(some)))
    }
    whole = marked({number: bits for number, (bits, _) in known.items()}, served.whole)
    cut = marked({number: bits for number, (_, bits) in known.items()}, served.cut)
    changed = {
        number: (whole.get(number, before[0]), cut.get(number, before[1]))
        for number in {*whole, *cut}
        for before in (known.get(number, (b"", b"")),)
    }
    old = [
        {
            "of_operator": operator_id,
            "of_block": number,
            "new_whole": new_whole,
            "new_cut": new_cut,
        }
        for number, (new_whole, new_cut) in changed.items()
        if number in known
    ]
    new = [
        {"operator_id": operator_id, "block": number, "whole": new_whole, "cut": new_cut}
        for number, (new_whole, new_cut) in changed.items()
        if number not in known
    ]
    _write(connection, (_SERVED, old), (insert(SERVED_BLOCKS), new))


def _write(
    connection: Connection, *statements: tuple[Executable, Sequence[Mapping[str, object]]]
) -> None:
    for statement, rows in statements:
        if rows:
            connection.execute(statement, list(rows))
