"""Scene of the end of a month: closed for good, booked, and worked out again to the same bytes.

A month can be closed only when it is over. The demo does not wait for that: once its gateway has
stopped, it closes the month on the installation's stores, by a clock set to the month's end.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from creditgate.v1.settlement_service_pb2 import Settlement
from creditgate.v1.usage_service_pb2 import RevenueShare, Statement
from gateway.authority.view import AuthorityView
from gateway.cli.output import Sheet, several, yuan
from gateway.demo.account import Section, Step
from gateway.installation.home import Home
from gateway.settle.month import month_named
from gateway.settlement.checking import check_month
from gateway.settlement.cleared import NothingCleared
from gateway.settlement.closing import Closer
from gateway.settlement.credit_store import SqlCreditNotes
from gateway.settlement.journal_store import SqlJournal
from gateway.settlement.month_use import LedgerMonths
from gateway.settlement.settling import Settler
from gateway.settlement.store import SqlClosings
from gateway.storage.engines import Engines, open_engines
from operators.sql import SqlAuthorityLog

_BY: Final = "administrator"
_MOST_ENTRIES: Final = 1_000
_MOST_SHOWN: Final = 10
_SAME: Final = "the same bytes"


async def closed(home: Home, statements: Sequence[Statement]) -> Section:
    """Close the months of ``statements``, the last ones of the gateway that was stopped."""
    return await asyncio.to_thread(_closed, home, statements)


def _closed(home: Home, statements: Sequence[Statement]) -> Section:
    engines = open_engines("sqlite", home.root)
    try:
        return _told(engines, statements)
    finally:
        engines.dispose()


def _told(engines: Engines, statements: Sequence[Statement]) -> Section:
    log, closings = SqlAuthorityLog(engines.authority), SqlClosings(engines.evidence)
    months = LedgerMonths(engines.records)
    closer = Closer(months, closings, SqlCreditNotes(engines.evidence), log)
    settler = Settler(months, closings, closer, NothingCleared())
    view = AuthorityView().advanced(log.since(0))
    steps: list[Step] = []
    sheets: list[Sheet] = []
    for name in sorted({statement.month for statement in statements}):
        month = month_named(name)
        assert month is not None, "statements are of months"
        own = [statement for statement in statements if statement.month == name]
        first = settler.settle(month, view, _BY, f"close-{name}", month.until)
        kept = _documents(closings, name)
        settler.settle(month, view, _BY, f"again-{name}", month.until + 1)
        checked = check_month(engines, name)
        steps += (
            Step(
                "administrator",
                f"closes {name} at its end, as the operators' statements are",
                _fees(
                    sum(each.total_micro_yuan for each in own),
                    sum(each.due_micro_yuan for each in own),
                ),
                _fees(first.total_micro_yuan, first.due_micro_yuan),
            ),
            Step(
                "administrator",
                "closes it again",
                _SAME,
                _SAME if _documents(closings, name) == kept else "something else",
            ),
            Step(
                "administrator",
                "works every statement out again from ledger and authority log",
                _SAME,
                several(checked.differing) or _SAME,
            ),
            Step("administrator", "adds up each entry of the journal", *_balance(engines, name)),
        )
        sheets.append(
            Sheet(
                f"To be paid out for {name}",
                ("beneficiary", "yuan"),
                [(each.beneficiary, yuan(each.amount_micro_yuan)) for each in _largest(first)],
                frozenset({"yuan"}),
            )
        )
    return Section(
        "The month is over, by a clock set forward: it is closed for good (结算)",
        tuple(steps),
        tuple(sheets),
    )


def _documents(closings: SqlClosings, month: str) -> tuple[bytes, ...]:
    """Return the bytes that closing a month has kept: its settlement and its statements."""
    settled = closings.settled(month)
    assert settled is not None, "it was just closed"
    return settled.document, *(each.document for each in closings.of_month(month))


def _fees(total: int, due: int) -> str:
    return f"{yuan(total)} yuan of fees, {yuan(due)} due"


def _balance(engines: Engines, month: str) -> tuple[str, str]:
    """Return how many entries of a month balance, as it should be and as it is."""
    entries = SqlJournal(engines.evidence).entries(month, "", "", after=0, limit=_MOST_ENTRIES)
    balanced = sum(
        sum(posting.debit_micro_yuan for posting in entry.postings)
        == sum(posting.credit_micro_yuan for posting in entry.postings)
        for entry in entries
    )
    return f"{len(entries)} entries balance", f"{balanced} entries balance"


def _largest(settlement: Settlement) -> Sequence[RevenueShare]:
    return sorted(settlement.due_shares, key=lambda each: -each.amount_micro_yuan)[:_MOST_SHOWN]
