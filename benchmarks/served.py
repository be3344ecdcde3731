"""An installation that served all it discloses to one operator."""

import time
from itertools import islice
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from benchmarks.holding import WITHDRAWN, Holding
from benchmarks.installations import installed, licensed
from benchmarks.shape import Shape, admitted_records
from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.clock import SystemClock
from gateway.conformance.following import HoldingsSteps
from gateway.disclose.store import DisclosureStore
from gateway.disclose.tables import REVISIONS
from gateway.installation.bootstrap import ADMINISTRATOR
from gateway.installation.home import Home
from gateway.meter.ledger import UsageLedger
from gateway.meter.model import LineCount, UsageClaim, pack_entries
from gateway.meter.receipts import ReceiptSigner
from gateway.respond.under_way import UNDER_WAY_SECONDS
from gateway.storage.engines import Engines, open_engines, reading
from gateway.transparency.keys import LogKey
from operators.sql import SqlAuthorityLog

HOLDER: Final = "holding"
"""The operator's client."""
_OPERATOR: Final = "holder"
_SCOPES: Final = ("credit.conformance:reconcile", "credit.conformance:read")
_MARKER: Final = "served.made"
_ANSWER_RECORDS: Final = 500
_ANSWERS_AT_ONCE: Final = 10


def all_served(root: Path, shape: Shape) -> tuple[Home, Holding]:
    """Return an installation that served all it discloses to one operator, and what is held."""
    home = installed(root, shape)
    marker = root / _MARKER
    engines = open_engines("sqlite", home.root)
    try:
        if not marker.exists():
            print(f"  serving {shape.records:,} records ...", flush=True)
            log, now = SqlAuthorityLog(engines.authority), int(time.time())
            drafts = licensed(home, _OPERATOR, HOLDER, _SCOPES, now)
            log.append(drafts, changed_by=ADMINISTRATOR, changed_at=now, reason="benchmark")
            # Long enough ago that nothing of it is on its way any more when it is attested.
            _serve(engines, shape, now - UNDER_WAY_SECONDS - 1)
            _withdraw(engines, shape, now)
            marker.touch()
        # Faster than within the share of the time that a gateway takes for it.
        steps = HoldingsSteps(engines)
        while steps.step():
            pass
        with reading(engines.records) as connection:
            first = select(REVISIONS.c.disclosed_from).where(REVISIONS.c.sequence == 1)
            return home, Holding(shape, connection.execute(first).scalar_one())
    finally:
        engines.dispose()


def _serve(engines: Engines, shape: Shape, now: int) -> None:
    # What was served before a gateway runs: nobody is shown these receipts.
    key = LogKey("bench.invalid/log/usage", Ed25519PrivateKey.generate())
    ledger = UsageLedger(engines.records, SystemClock(), ReceiptSigner(key))
    claims = [
        _claim(first, shape.records, now) for first in range(1, shape.records + 1, _ANSWER_RECORDS)
    ]
    for start in range(0, len(claims), _ANSWERS_AT_ONCE):
        ledger.commit(claims[start : start + _ANSWERS_AT_ONCE])
    ledger.close()


def _claim(first: int, head: int, now: int) -> UsageClaim:
    return UsageClaim(
        operator_id=_OPERATOR,
        client_id=HOLDER,
        request_id=f"held-{first}",
        chunk=0,
        payload_digest=b"",
        licence=f"{_OPERATOR.upper()}-1",
        purpose=Purpose.PURPOSE_CREDIT_APPROVAL,
        decision_id=f"held-{first}",
        served_at=now,
        disclosure_sequence=head,
        entries=pack_entries(range(first, first + _ANSWER_RECORDS)),
        lines=(LineCount(1, _ANSWER_RECORDS, 0),),
        daily_quota=10**12,
        replay_seconds=1,
        good_until=now + 86_400,
        may_be_empty=False,
        stands=lambda: True,
    )


def _withdraw(engines: Engines, shape: Shape, now: int) -> None:
    store = DisclosureStore(engines.records)
    kind = DisclosureEventKind.DISCLOSURE_EVENT_KIND_WITHDRAWN
    for record in islice(admitted_records(shape, now), WITHDRAWN):
        store.end(record.record_id, 1, kind, "benchmark", "bench-publisher", now)
