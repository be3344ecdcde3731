"""Checking what is kept of holdings: made anew from the disclosure and the usage ledger."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, Row, func, select

from consent.queries import ConsentQueries
from gateway.conformance.blocks import BLOCK, Block, marked
from gateway.conformance.consented import latest
from gateway.conformance.grounds import grounds
from gateway.conformance.holdings_tables import (
    CONSENTED_COPIES,
    ENDED_BLOCKS,
    POSITIONS,
    REVISION_BLOCKS,
    SERVED_BLOCKS,
)
from gateway.conformance.positions import EVENTS, come_to, come_to_answers
from gateway.conformance.revisions import read_events
from gateway.conformance.served import CutCopy, Served, ServedReader, served_operators
from gateway.meter.tables import USAGE
from gateway.transparency.events import newest_event
from gateway.transparency.faults import Faults

_ANSWERS_AT_ONCE: Final = 2_000
_Bits = dict[int, bytes]


class CheckedHoldings:
    """What operators were served, checked; both connections are of one instant each."""

    def __init__(
        self,
        records: Connection,
        evidence: Connection,
        consents: ConsentQueries,
        faults: Faults,
    ) -> None:
        self._records = records
        self._evidence = evidence
        self._reader = ServedReader(consents)
        self._faults = faults
        self.blocks = 0
        self.whole: dict[str, _Bits] = {}
        """What each operator was ever served whole, as the bits of blocks."""
        self.cut: dict[str, dict[int, int]] = {}
        """Of what each was ever served cut, until when consents let it be kept (seconds, UTC):
        0 for what they do not, and where they cannot be read."""

    def check(self) -> None:
        """Compare everything. Raises EnoughFaults."""
        self._check_positions()
        self._check_revisions(come_to(self._evidence, EVENTS))
        followed = come_to_answers(self._evidence)
        operators = served_operators(self._records)
        for operator_id in sorted(operators.keys() | followed.keys()):
            self._check_operator(
                operator_id, followed.get(operator_id, 0), operators.get(operator_id, 0)
            )
        self._check_unknown(SERVED_BLOCKS, operators)
        self._check_unknown(CONSENTED_COPIES, operators)

    def _check_positions(self) -> None:
        names = {
            EVENTS,
            *(f"usage:{each}" for each in come_to_answers(self._evidence)),
        }
        kept = set(self._evidence.execute(select(POSITIONS.c.name)).scalars())
        self._faults.require(kept <= names, "holdings_positions", "a log is followed that is none")

    def _check_unknown(self, table: Any, operators: Mapping[str, int]) -> None:
        kept = set(self._evidence.execute(select(table.c.operator_id).distinct()).scalars())
        self._faults.require(
            kept <= operators.keys(), table.name, "rows are of an operator that was never answered"
        )

    def _check_revisions(self, position: int) -> None:
        """Compare elements, periods and endings with the events up to ``position``."""
        if position > newest_event(self._records):
            self._faults.note("holdings_positions, events", "it is after the newest event")
            return
        ended: _Bits = {}
        expected = 0
        for number in range(position // BLOCK + 1):
            first = number * BLOCK - 1
            read = read_events(self._records, first, min(BLOCK, position - first))
            ended |= marked(ended, np.array(read.ended, np.int64))
            row = self._evidence.execute(
                select(REVISION_BLOCKS).where(REVISION_BLOCKS.c.block == number)
            ).one_or_none()
            if not read.fixed:
                continue
            expected += 1
            block = Block.empty(number).with_facts(read.fixed)
            self._faults.require(
                row is not None
                and (bytes(row.untils), bytes(row.elements))
                == (block.untils.tobytes(), block.elements.tobytes()),
                f"revision_blocks, block {number}",
                "it is not that of the revisions disclosed",
            )
        kept = self._evidence.execute(
            select(func.count()).select_from(REVISION_BLOCKS)
        ).scalar_one()
        self._faults.require(kept == expected, "revision_blocks", "there are blocks too many")
        self.blocks += expected
        stored = {
            row.block: bytes(row.ended) for row in self._evidence.execute(select(ENDED_BLOCKS))
        }
        self._compare(stored, ended, "ended_blocks", "it is not that of the revisions ended")

    def _compare(
        self, stored: Mapping[int, Any], expected: Mapping[int, Any], place: str, what: str
    ) -> None:
        self.blocks += len(expected)
        for number in sorted(stored.keys() | expected.keys()):
            self._faults.require(
                stored.get(number) == expected.get(number), f"{place}, block {number}", what
            )

    def _check_operator(self, operator_id: str, position: int, last: int) -> None:
        place = f"operator {operator_id}"
        sequences = self._records.execute(
            select(func.count()).where(
                USAGE.c.operator_id == operator_id, USAGE.c.sequence <= position
            )
        ).scalar_one()
        own = select(USAGE.c.sequence).where(
            USAGE.c.operator_id == operator_id, USAGE.c.sequence == position
        )
        self._faults.require(
            position == 0 or (position <= last and self._records.execute(own).first() is not None),
            f"holdings_positions, {place}",
            "it is at no answer to the operator",
        )
        whole: _Bits = {}
        cut: _Bits = {}
        copies: dict[tuple[int, str], CutCopy] = {}
        ever: _Bits = {}
        untils: dict[int, int] = {}
        for served, followed in self._answers(operator_id, sequences):
            ever |= marked(ever, served.whole)
            untils |= dict.fromkeys(set(served.cut.tolist()) - untils.keys(), 0)
            for copy in grounds(self._records, served.copies):
                untils[copy.sequence] = max(untils[copy.sequence], copy.keep_until)
            if followed:
                whole |= marked(whole, served.whole)
                cut |= marked(cut, served.cut)
                copies = dict(latest([*copies.values(), *served.copies]))
        self.whole[operator_id], self.cut[operator_id] = ever, untils
        stored = {
            row.block: (bytes(row.whole), bytes(row.cut))
            for row in self._evidence.execute(
                select(SERVED_BLOCKS).where(SERVED_BLOCKS.c.operator_id == operator_id)
            )
        }
        expected = {
            number: (whole.get(number, b""), cut.get(number, b"")) for number in {*whole, *cut}
        }
        self._compare(
            stored, expected, f"served_blocks, {place}", "it is not that of the usage ledger"
        )
        self._check_copies(operator_id, copies)

    def _answers(self, operator_id: str, followed: int) -> Iterator[tuple[Served, bool]]:
        """Yield all answers to an operator, page by page, and whether they are of the first
        ``followed`` ones."""
        at, left = 0, followed
        while True:
            limit = min(left, _ANSWERS_AT_ONCE) or _ANSWERS_AT_ONCE
            served = self._reader.read(self._records, operator_id, at, limit)
            if served.position == at:
                return
            yield served, left > 0
            left -= min(left, limit)
            at = served.position

    def _check_copies(self, operator_id: str, expected: Mapping[tuple[int, str], CutCopy]) -> None:
        own = select(CONSENTED_COPIES).where(CONSENTED_COPIES.c.operator_id == operator_id)
        found = 0
        for row in self._evidence.execute(own):
            found += 1
            self._faults.require(
                _is_of(row, expected.get((row.revision_sequence, row.consent_id))),
                f"consented_copies, operator {operator_id}, {row.consent_id}",
                "it is not that of the usage ledger and the consent",
            )
        self._faults.require(
            found == len(expected),
            f"consented_copies, operator {operator_id}",
            "there are copies too many, or too few",
        )


def _is_of(row: Row[*tuple[Any, ...]], copy: CutCopy | None) -> bool:
    return copy is not None and (
        bytes(row.element),
        bytes(row.content_digest),
        row.disclosed_until,
        row.keep_until,
    ) == (copy.element, copy.content_digest, copy.disclosed_until, copy.keep_until)
