"""Closed months worked out again on the installation, from its own ledger and authority log."""

from typing import NamedTuple

from gateway.settlement.closing import Closer
from gateway.settlement.month_use import LedgerMonths
from gateway.settlement.store import SqlClosings
from gateway.storage.engines import Engines
from operators.sql import SqlAuthorityLog


class MonthChecked(NamedTuple):
    """How many operators' months were worked out again, and those that came out otherwise."""

    operators: int
    differing: tuple[str, ...]


def check_month(engines: Engines, month: str) -> MonthChecked:
    """Work out every closed statement of a month again. Blocks.

    Raises what the stores raise, LookupError where the ledger names what is not there, and
    Refused where no sharing rule is known for some use.
    """
    closings = SqlClosings(engines.evidence)
    closer = Closer(LedgerMonths(engines.records), closings, SqlAuthorityLog(engines.authority))
    differing: list[str] = []
    operators = 0
    for closed in closings.of_month(month):
        operators += 1
        if closer.worked_out_again(closed) != closed.document:
            differing.append(closed.operator_id)
    return MonthChecked(operators, tuple(differing))
