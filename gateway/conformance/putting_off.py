"""Puts off what operators owe by the time in which the gateway was away."""

from collections.abc import Sequence
from typing import Any, Final, Protocol

from sqlalchemy import ColumnElement, Connection, Table, case, update

from consent.overdue import SqlOverdue
from gateway.conformance.finding_tables import (
    CHALLENGES,
    FINDINGS,
    OF_FALSE,
    STANDINGS,
    STANDS,
    UNANSWERED,
    WAITS,
)
from gateway.conformance.model import MISSING, OPEN, RECTIFIED
from gateway.conformance.outage import Outage
from gateway.conformance.overdue import Followed
from gateway.conformance.removal_tables import Finding
from gateway.storage.writes import wrote

_F: Final = FINDINGS.c


class Others(Protocol):
    """Who puts off what is owed besides."""

    def put_off(self, connection: Connection, outage: Outage) -> None:
        """Put it off, in a transaction on the store of evidence."""
        ...


class PuttingOff:
    """Puts off removals for events and for consents, copies to be shown, attestations that are
    due, and findings to be rectified. Calls block.

    ``removals`` are the tables of what is owed for events, each with who writes it; ``others``
    put off what else is. False attestations count on for ``counts_on_seconds`` after they were
    rectified.
    """

    def __init__(
        self,
        consents: SqlOverdue,
        removals: Sequence[tuple[Followed, Table]],
        counts_on_seconds: int,
        others: Sequence[Others] = (),
    ) -> None:
        self._consents = consents
        self._removals = removals
        self._counts_on_seconds = counts_on_seconds
        self._others = others

    def follow(self) -> None:
        """Write down what is owed for events there were: only what is written is put off."""
        for duties, _ in self._removals:
            duties.follow()

    def put_off(self, connection: Connection, outage: Outage) -> None:
        """Put off all that had not passed when the outage began.

        ``connection`` is of the store of evidence. Consents are of another store and come first:
        where the rest fails their removals are put off once more, and never too little.
        """
        self._consents.put_off(outage.began, outage.put_off_in)
        for _, table in self._removals:
            owed = (table.c.acknowledged_at.is_(None), table.c.finding == Finding.NONE.value)
            _put_off(connection, table, table.c.deadline, outage, *owed)
        _put_off(connection, CHALLENGES, CHALLENGES.c.deadline, outage, UNANSWERED)
        _put_off(connection, CHALLENGES, CHALLENGES.c.show_by, outage, UNANSWERED)
        _put_off(connection, STANDINGS, STANDINGS.c.attestation_due, outage)
        _put_off_findings(connection, outage)
        _put_off_rectified(connection, outage, self._counts_on_seconds)
        for each in self._others:
            each.put_off(connection, outage)


def _put_off(
    connection: Connection,
    table: Table,
    deadline: ColumnElement[int],
    outage: Outage,
    *which: ColumnElement[bool],
) -> None:
    ahead = update(table).where(deadline >= outage.began, *which)
    later = ahead.values({deadline: outage.put_off_in(deadline)})
    wrote(connection, table, connection.execute(later.returning(*table.primary_key)).all())


def _put_off_findings(connection: Connection, outage: Outage) -> None:
    # Their deadlines that passed move too: the stages after one follow from it, and from when
    # the finding was counted from. What is contested is put off when it is decided, what waits to be
    # asked for once it waits no longer.
    moved: dict[Any, ColumnElement[int]] = {
        _F.counted_from: _F.counted_from + outage.seconds,
        _F.deadline: case(
            (_F.deadline < outage.began, _F.deadline + outage.seconds),
            else_=outage.put_off_in(_F.deadline),
        ),
    }
    open_ones = update(FINDINGS).where(STANDS, _F.state == OPEN, _F.kind != MISSING, ~WAITS)
    found = connection.execute(open_ones.values(moved).returning(_F.finding_id)).all()
    wrote(connection, FINDINGS, found)


def _put_off_rectified(connection: Connection, outage: Outage, counts_on_seconds: int) -> None:
    # The time of a rectified false attestation may go on in another one's.
    due = _F.deadline + _F.put_off
    later = case(
        (due < outage.began, _F.put_off + outage.seconds),
        else_=outage.put_off_in(due) - _F.deadline,
    )
    counting = (
        OF_FALSE,
        _F.state == RECTIFIED,
        _F.closed_at > outage.began - counts_on_seconds,
    )
    moved = update(FINDINGS).where(*counting).values(put_off=later).returning(_F.finding_id)
    wrote(connection, FINDINGS, connection.execute(moved).all())
