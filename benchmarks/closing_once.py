"""``python -m benchmarks.closing_once FOLDER``: close the month of `benchmarks.used`, once.

A process of its own, so that its CPU and its most memory are the closing's. By prices by
subject and shares by contribution, for which every entry is read; ``plain``: by price and source
alone. Prints JSON: CPU in seconds, most memory in bytes, entries, and the statement's digest.
"""

import json
import resource
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from benchmarks.used import MONTH, OPERATOR
from creditgate.rating.components import PER_SUBJECT, PriceComponent
from creditgate.rating.prices import PriceBook, PricePlan
from creditgate.rating.timeline import Timeline
from creditgate.v1.settlement_service_pb2 import SourceDivision
from gateway.settle.classes import ClassBook
from gateway.settle.month import month_named
from gateway.settle.shares import SharingBook, SharingRule
from gateway.settlement.books import PastBooks
from gateway.settlement.closing import Closer
from gateway.settlement.credit_store import SqlCreditNotes
from gateway.settlement.month_use import LedgerMonths
from gateway.settlement.store import SqlClosings
from gateway.storage.engines import open_engines, sqlite_engine
from gateway.storage.migrate import upgrade
from operators.sql import SqlAuthorityLog

PLAIN: Final = "plain"
_KIB: Final = 1_024


def _books(*, plain: bool) -> PastBooks:
    by_subject = PriceComponent(
        component_id="by-subject", kind=PER_SUBJECT, items=frozenset({"item-1"}), unit_price=70_000
    )
    plan = PricePlan(
        plan_id="bench",
        effective_from=0,
        prices={"": 50_000},
        components=() if plain else (by_subject,),
    )
    rule = SharingRule(
        rule_id="bench",
        effective_from=0,
        source_basis_points=6_000,
        region_basis_points=3_000,
        platform_basis_points=1_000,
        source_division=SourceDivision.SOURCE_DIVISION_OWN
        if plain
        else SourceDivision.SOURCE_DIVISION_BY_CONTRIBUTION,
    )
    return PastBooks(
        0, PriceBook(Timeline((plan,))), SharingBook(Timeline((rule,))), ClassBook.empty()
    )


def _close(records: Engine, authority: Engine, folder: Path, *, plain: bool) -> dict[str, object]:
    month = month_named(MONTH)
    assert month is not None
    evidence = sqlite_engine(folder / "evidence.db")
    upgrade(evidence, "evidence")
    closer = Closer(
        LedgerMonths(records),
        SqlClosings(evidence),
        SqlCreditNotes(evidence),
        SqlAuthorityLog(authority),
    )
    before = time.process_time()
    closed = closer.close(OPERATOR, month, _books(plain=plain), month.until)
    cpu = time.process_time() - before
    evidence.dispose()
    return {
        "cpu": cpu,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB,
        "entries": closed.statement.total_entries,
        "digest": sha256(closed.document).hexdigest(),
    }


def main(folder: Path, *, plain: bool) -> None:
    """Close the month of the store in ``folder`` and print what it took."""
    engines = open_engines("sqlite", folder)
    with tempfile.TemporaryDirectory() as scratch:
        told = _close(engines.records, engines.authority, Path(scratch), plain=plain)
    engines.dispose()
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), plain=PLAIN in sys.argv[2:])
