"""Appending to the disclosure log: from events as they were read to a durable, signed
checkpoint, in the writer's own batches on SQLite; the same with the map's part. The cycle collector
rests as it does in a gateway.

The goal is of the time by the clock, so the machine must be quiet; the processor's time beside it
tells how far it was."""

import gc
import tempfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from time import perf_counter, process_time
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.parts.stage import Stage
from benchmarks.results import Measure
from benchmarks.rounds import Spread
from benchmarks.shape import Shape, admitted_records
from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from creditgate.v1.disclosure_proof_pb2 import MapHead
from creditgate.v1.vocabulary_pb2 import Openness
from gateway.catalogue.model import CatalogueItem
from gateway.disclose.tables import NO_END
from gateway.server.memory import collect_rarely
from gateway.storage.engines import Engines, open_engines
from gateway.storage.migrate import upgrade_all
from gateway.transparency.disclosure_map import DisclosureMap
from gateway.transparency.entries import batch_of, head_entry, note_head
from gateway.transparency.events import DisclosedEvent
from gateway.transparency.keys import LogKey
from gateway.transparency.log import MerkleLog
from gateway.transparency.salts import Salts
from gateway.transparency.tables import LogId
from gateway.transparency.writer import EVENTS_AT_ONCE
from tests.installation import item

_BATCHES: Final = 12
_RECORDS_EACH: Final = 4
_NOW: Final = 1_775_000_000
_GOAL: Final = 50_000


class _Rates(NamedTuple):
    """Events logged in a second, by the clock and by the processor's time of this process."""

    wall: Spread
    cpu: Spread


def measure(_stage: Stage | None = None) -> list[Measure]:
    """Return events logged a second, batch by batch, in one process."""
    events = _events(_BATCHES * EVENTS_AT_ONCE)
    alone, mapped = _rates(events, mapped=False), _rates(events, mapped=True)
    return [
        Measure("append.events_per_second", alone.wall, at_least=_GOAL),
        Measure("append.events_per_cpu_second", alone.cpu),
        Measure("append.events_per_second_with_map", mapped.wall),
        Measure("append.events_per_cpu_second_with_map", mapped.cpu),
    ]


def _rates(events: Sequence[DisclosedEvent], *, mapped: bool) -> _Rates:
    with tempfile.TemporaryDirectory() as folder:
        engines = open_engines("sqlite", Path(folder))
        upgrade_all(engines)
        log = _Log(engines, {each.item for each in events})
        wall: list[float] = []
        cpu: list[float] = []
        pace = gc.get_threshold()
        collect_rarely()
        for start in range(0, len(events), EVENTS_AT_ONCE):
            batch = events[start : start + EVENTS_AT_ONCE]
            began, used = perf_counter(), process_time()
            log.append(batch, mapped=mapped)
            wall.append(len(batch) / (perf_counter() - began))
            cpu.append(len(batch) / (process_time() - used))
        gc.unfreeze()
        gc.set_threshold(*pace)
        engines.dispose()
    return _Rates(Spread.of(wall), Spread.of(cpu))


class _Log:
    def __init__(self, engines: Engines, items: set[str]) -> None:
        self._engine = engines.evidence
        self._salts = Salts(sha256(b"benchmark").digest())
        key = LogKey("gateway.invalid/log/disclosure", Ed25519PrivateKey.generate())
        self._log = MerkleLog(engines.evidence, LogId.DISCLOSURE, key)
        self._map = DisclosureMap(engines.records, self._salts)
        self._catalogue: dict[str, CatalogueItem] = {
            code: item(code, Openness.OPENNESS_PUBLIC) for code in items
        }
        self._seal = b""

    def append(self, events: Sequence[DisclosedEvent], *, mapped: bool) -> None:
        """Do what the writer does with one batch."""
        batch = batch_of(
            events,
            self._salts,
            self._seal,
            lambda some: self._map.digests(some, self._catalogue),
        )
        self._seal = batch.seal
        with self._engine.begin() as connection:
            size = self._log.size(connection, writing=True)
            head = (
                self._map.advance(connection, events, self._catalogue, _NOW, batch.members)
                if mapped
                else MapHead(event_sequence=events[-1].sequence)
            )
            self._log.append(connection, [*batch.entries, head_entry(head)])
            note_head(connection, size + len(events), head.event_sequence, self._seal)
            self._log.sign(connection, _NOW)


def _events(number: int) -> list[DisclosedEvent]:
    """Return the events that publish so many invented records."""
    shape = Shape(subjects=number // _RECORDS_EACH, records_each=_RECORDS_EACH)
    return [
        DisclosedEvent(
            sequence,
            DisclosureEventKind.DISCLOSURE_EVENT_KIND_PUBLISHED,
            _NOW,
            sequence,
            0,
            record.record_id,
            1,
            record.subject,
            record.item,
            record.severity,
            record.digest,
            record.disclosed_from,
            NO_END if record.disclosed_until is None else record.disclosed_until,
            record.content,
            record.source,
            record.region,
            "publisher",
            "",
        )
        for sequence, record in enumerate(admitted_records(shape, _NOW), 1)
    ]
