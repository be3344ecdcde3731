"""What the model is fed with: what is asked of a country's gateways, and what each thing costs."""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.processes import ROOT

LATEST: Final = ROOT / "benchmarks" / "latest.json"


class Cost(NamedTuple):
    """A figure, its unit, and where it is from: the measure's name, or why it is assumed."""

    value: float
    unit: str
    source: str
    measured: bool


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of all regions together."""

    regions: int = 31
    records: int = 80_000_000_000
    operators: int = 2_000
    calls_per_second: float = 50_000
    """At the peak, each about one subject."""
    peak_over_mean: float = 3
    records_per_answer: int = 3
    crossing: float = 0.2
    """Share of calls that a region passes on to others."""
    regions_per_crossing: float = 2
    batch_records_per_second: float = 200_000
    """What operators check again by night: each a million companies of three records in 8 hours."""
    revision_years: float = 5
    """How long it takes until as many events came as there are records."""
    event_peak_over_mean: float = 10
    clients_per_operator: int = 5
    reconciliations_per_day: float = 2_000
    copies_per_operator: int = 10_000_000
    ledger_days: int = 400
    """How long answers are kept where they are looked up."""
    batch_hours: float = 8


@dataclass(frozen=True, slots=True)
class Costs:
    """What each thing costs, and what one machine has."""

    call_cpu: Cost
    process_calls: Cost
    proof_over_call: Cost
    batch_records_per_core: Cost
    events_per_second: Cost
    tokens_per_second: Cost
    followed_cpu: Cost
    logged_cpu: Cost
    commit: Cost
    claims_per_group: Cost
    database_cpu: Cost
    answer_wal: Cost
    record_bytes: Cost
    answer_bytes: Cost
    map_writes: Cost
    wire_bytes: Cost
    reconciliation_cpu: Cost
    closing_cpu: Cost
    serving_cores: Cost
    database_cores: Cost
    wal_bytes_per_second: Cost
    shard_bytes: Cost
    wire_bits: Cost
    busy: Cost

    def named(self) -> dict[str, Cost]:
        """Return every cost by its name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def read_costs(file: Path = LATEST) -> Costs:
    """Return the costs, from the measures of ``file`` where it has them."""
    measures: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["measures"]

    def measured(name: str, unit: str, otherwise: float, why: str) -> Cost:
        if name in measures:
            return Cost(float(measures[name]["median"]), unit, name, measured=True)
        return Cost(otherwise, unit, f"{why}; `{name}` is not in the figures", measured=False)

    def assumed(value: float, unit: str, why: str) -> Cost:
        return Cost(value, unit, why, measured=False)

    by_hand = "seen once on PostgreSQL 18 with groups of 64 answers"
    return Costs(
        call_cpu=measured("unary.gateway_server_cpu_per_call", "µs", 320, "docs/performance.md"),
        process_calls=measured(
            "unary.gateway_calls_per_second", "calls/s", 3_700, "docs/performance.md"
        ),
        proof_over_call=measured(
            "complete.server_cpu_over_no_proof", "", 1.10, "docs/performance.md"
        ),
        batch_records_per_core=measured(
            "batch.records_per_core_second", "records/s", 200_000, "docs/performance.md"
        ),
        events_per_second=measured(
            "append.events_per_second_with_map", "events/s", 5_000, "a tenth of without the map"
        ),
        tokens_per_second=measured(
            "token.endpoint_tokens_per_second", "tokens/s", 600, "docs/performance.md"
        ),
        followed_cpu=assumed(20, "µs", "holdings 3 and index of uses 17, docs/performance.md"),
        logged_cpu=assumed(13, "µs", "a decision in its log, docs/performance.md"),
        commit=assumed(
            1.0, "ms", "a flush on a server's disk, with its replica's on the same site"
        ),
        claims_per_group=assumed(64, "claims", "docs/performance.md; at most 256"),
        database_cpu=assumed(29, "µs", f"the ledger's part of an answer, {by_hand}"),
        answer_wal=assumed(
            1_140, "bytes", f"570 of the ledger {by_hand}; evidence taken as as much"
        ),
        record_bytes=assumed(1_150, "bytes", f"record, event and indexes, {by_hand}"),
        answer_bytes=assumed(800, "bytes", f"394 of the ledger {by_hand}; evidence as much"),
        map_writes=assumed(300, "bytes", "leaf and its tile, of a record"),
        wire_bytes=assumed(2_600, "bytes", "an answer of three records with its receipt and TLS"),
        reconciliation_cpu=assumed(40, "s", "coding ten million copies at both ends"),
        closing_cpu=measured(
            "closing.every_entry_read_cpu_10000000", "s", 60, "the goal for 10 million entries"
        ),
        serving_cores=assumed(32, "cores", "one machine that serves"),
        database_cores=assumed(32, "cores", "one machine of PostgreSQL"),
        wal_bytes_per_second=assumed(150e6, "bytes/s", "one PostgreSQL's log on NVMe, replicated"),
        shard_bytes=assumed(8e12, "bytes", "what one machine of PostgreSQL is given to hold"),
        wire_bits=assumed(10e9, "bit/s", "one machine's network"),
        busy=assumed(0.6, "", "how busy a machine is at the peak, so that one may fail"),
    )
