"""The journal as it is listed. Calls block."""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import Engine, select

from creditgate.v1.settlement_service_pb2 import JournalEntry, JournalPosting
from gateway.settlement.tables import ENTRIES, POSTINGS
from gateway.storage.engines import snapshot


class SqlJournal:
    """Reads the journal on SQLite and PostgreSQL."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def entries(
        self, month: str, operator_id: str, account: str, *, after: int, limit: int
    ) -> Sequence[JournalEntry]:
        """Return the next entries behind ``after``, in the order they were booked; "" narrows
        nothing."""
        query = (
            select(ENTRIES).where(ENTRIES.c.entry > after).order_by(ENTRIES.c.entry).limit(limit)
        )
        if month:
            query = query.where(ENTRIES.c.month == month)
        if operator_id:
            query = query.where(ENTRIES.c.operator_id == operator_id)
        if account:
            booked = select(POSTINGS.c.entry).where(POSTINGS.c.account == account)
            query = query.where(ENTRIES.c.entry.in_(booked))
        with snapshot(self._engine) as connection:
            rows = connection.execute(query).all()
            postings: defaultdict[int, list[JournalPosting]] = defaultdict(list)
            of_rows = query.with_only_columns(ENTRIES.c.entry).subquery()
            for number, name, debit, credit in connection.execute(
                select(POSTINGS)
                .where(POSTINGS.c.entry.in_(select(of_rows)))
                .order_by(POSTINGS.c.entry, POSTINGS.c.account)
            ):
                postings[number].append(
                    JournalPosting(account=name, debit_micro_yuan=debit, credit_micro_yuan=credit)
                )
        entries = [
            JournalEntry(
                entry=row.entry,
                kind=row.kind,
                operator_id=row.operator_id,
                month=row.month,
                about=row.about,
                postings=postings[row.entry],
            )
            for row in rows
        ]
        for entry, row in zip(entries, rows, strict=True):
            entry.book_time.seconds = row.booked_at
        return entries
