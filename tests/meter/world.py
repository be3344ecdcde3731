"""Claims and a small disclosure for tests of the ledger; all firms are invented."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from threading import Event, Thread
from typing import Any

from sqlalchemy import Engine, event, select
from sqlalchemy.dialects import postgresql, sqlite

from consent.model import Consent
from consent.relied import Relied
from creditgate.uscc import check_character
from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.vocabulary_pb2 import Purpose, Severity
from gateway.catalogue.admission import Admitted
from gateway.disclose.model import Batch, Correction
from gateway.disclose.store import DisclosureStore
from gateway.disclose.tables import LINES
from gateway.meter.ledger import UsageLedger
from gateway.meter.model import LineCount, Outcome, RefusalEntry, UsageClaim, pack_entries
from gateway.meter.tables import QUOTA, USAGE
from gateway.storage.engines import reading
from tests.clock import NOW

DAY = 86_400
MIDNIGHT = NOW - NOW % DAY + DAY
REPLAY_SECONDS = 3_600
REPAIRED = DisclosureEventKind.DISCLOSURE_EVENT_KIND_REPAIRED


def claim(request_id: str = "r-1", entries: Sequence[int] = (), **changes: Any) -> UsageClaim:
    """Return a claim of operator "alpha" that costs 7 micro-yuan a record."""
    made = UsageClaim(
        operator_id="alpha",
        client_id="alpha-client",
        request_id=request_id,
        chunk=0,
        payload_digest=b"payload",
        licence="L-1",
        purpose=Purpose.PURPOSE_BIDDING,
        decision_id=f"d-{request_id}",
        served_at=NOW,
        disclosure_sequence=0,
        entries=pack_entries(entries),
        lines=(LineCount(1, len(entries), 7),) if entries else (),
        daily_quota=1_000_000,
        replay_seconds=REPLAY_SECONDS,
        good_until=NOW + 10**6,
        may_be_empty=True,
        stands=lambda: True,
    )
    if "relies_on" in changes:
        # As where all that is served needs a consent.
        made = made._replace(opened_entries=len(entries))
        consent: Consent | None = changes["relies_on"]
        changes["relies_on"] = None if consent is None else Relied.of(consent)
    return made._replace(**changes)


def with_lines(engine: Engine) -> Engine:
    """Return the engine of a store that knows the revenue lines 1 to 9, of which the first is
    that of `admitted`."""
    names = ("penalty.general", *(f"item-{number}" for number in range(2, 10)))
    add = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert
    with engine.begin() as connection:
        if connection.execute(select(LINES)).first() is None:
            connection.execute(
                # Processes of one test may come at once.
                add(LINES).on_conflict_do_nothing(),
                [
                    {"line_no": number, "item": item, "source": "s", "region": "110000"}
                    for number, item in enumerate(names, 1)
                ],
            )
    return engine


def refusal(**changes: Any) -> RefusalEntry:
    """Return a refusal for the log."""
    fields: dict[str, Any] = {
        "decision_id": "d-1",
        "at": NOW,
        "client_id": "alpha-client",
        "method": "CreditRecordService/GetRecord",
        "reason": RefusalReason.REFUSAL_REASON_NO_LICENCE,
        "purpose": Purpose.PURPOSE_BIDDING,
        "request_id": "r-1",
    }
    return RefusalEntry(**fields | changes)


def company(number: int) -> str:
    """Return an invented code under the unassigned district."""
    stem = f"91000000{number:09d}"
    return stem + check_character(stem)


def admitted(
    record_id: str, number: int = 1, content: bytes = b'{"about":"x"}', **changes: Any
) -> Admitted:
    """Return a record of an invented company, disclosed from 1970 without end."""
    record = Admitted(
        record_id=record_id,
        subject=company(number),
        item="penalty.general",
        source="s",
        region="110000",
        severity=Severity.SEVERITY_GENERAL,
        content=content,
        digest=sha256(content).digest(),
        disclosed_from=0,
        disclosed_until=None,
    )
    return record._replace(**changes)


@dataclass
class Disclosure:
    """Publishes and ends records in a real store."""

    engine: Engine
    batches: str = "b"
    numbers: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.store = DisclosureStore(self.engine)

    def publish(self, *records: Admitted) -> list[int]:
        """Publish records in one batch and return their sequences."""
        head = self.store.head()
        batch = Batch(
            "site", f"{self.batches}-{next(self.numbers)}", b"", tuple(enumerate(records)), ()
        )
        outcome = self.store.commit_batch(batch, NOW)
        assert outcome.published == len(records)
        return list(range(head + 1, head + 1 + len(records)))

    def correct(self, record: Admitted, expected_revision: int = 1) -> int:
        """Correct a record and return the new revision's sequence."""
        return self.store.correct(
            Correction(record, expected_revision, "typing error"), "site", NOW
        ).event_sequence

    def repair(self, record_id: str, revision: int = 1) -> int:
        """End a record by repair and return the event's sequence."""
        return self.store.end(record_id, revision, REPAIRED, "decision", "site", NOW).sequence


def committed(ledger: UsageLedger, claims: Sequence[UsageClaim], *, at_once: bool) -> list[Outcome]:
    """Return what becomes of a group, begun ``at_once`` where that may be, as the event loop does."""
    outcomes = ledger.begin_at_once(claims) if at_once else None
    if outcomes is None:
        return ledger.commit(claims)
    ledger.finish()
    return outcomes


@contextmanager
def paused_before_commit(
    engine: Engine, act: Callable[[], object]
) -> Generator[Callable[[], None]]:
    """Run ``act`` in a thread up to its COMMIT; it goes on when told, or in the end."""
    reached, released = Event(), Event()

    def pause(_connection: object) -> None:
        reached.set()
        assert released.wait(10)

    event.listen(engine, "commit", pause)
    thread = Thread(target=act)
    thread.start()
    assert reached.wait(10)
    yield released.set
    released.set()
    thread.join()
    event.remove(engine, "commit", pause)


def stored(engine: Engine, *operators: str) -> list[Any]:
    """Return the ledger's rows in order: of some operators, or all."""
    query = select(USAGE).order_by(USAGE.c.sequence)
    if operators:
        query = query.where(USAGE.c.operator_id.in_(operators))
    with reading(engine) as connection:
        return list(connection.execute(query))


def quota_used(engine: Engine) -> dict[tuple[str, int], int]:
    """Return the counters by operator and day."""
    with reading(engine) as connection:
        return {(row.operator_id, row.day): row.used for row in connection.execute(select(QUOTA))}
