"""The tables of docs/scale.md."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from math import ceil
from typing import Final

from benchmarks.capacity.inputs import Costs, Load
from benchmarks.capacity.model import (
    STEPS,
    Work,
    demands,
    first_load_days,
    limit_of,
    machines,
    serving_parts,
    shares,
    work_of,
)
from benchmarks.capacity.simulation import (
    Latency,
    Process,
    across,
    calculated_mean,
    simulated,
)

_LOAD_UNITS: Final = {
    "regions": "regions",
    "records": "records disclosed, all regions",
    "operators": "operators",
    "calls_per_second": "calls a second at the peak, each about one company",
    "peak_over_mean": "peak over mean of calls",
    "records_per_answer": "records of an answer",
    "crossing": "share of calls passed on to other regions",
    "regions_per_crossing": "regions asked by such a call",
    "batch_records_per_second": "records a second in batches, by night",
    "revision_years": "years until as many events came as there are records",
    "event_peak_over_mean": "peak over mean of events",
    "clients_per_operator": "clients of an operator, which call all the time",
    "reconciliations_per_day": "reconciliations a day",
    "copies_per_operator": "copies an operator reconciles",
    "ledger_days": "days that answers stay in the ledger",
    "batch_hours": "hours a day that batches take",
}
_WAY: Final = 0.020
_CALLS: Final = 40_000
_LEVELS: Final = (0.3, 0.6, 0.8, 0.9)


def tables(load: Load, costs: Costs) -> dict[str, str]:
    """Return every table by the name of its place in the page."""
    return {
        "load": _table(("What is asked", "Value"), _load(load)),
        "costs": _table(("What", "Value", "From"), _costs(costs)),
        "steps": _table(
            (
                "Step",
                "Records",
                "Calls/s",
                "What ends there",
                "Stored by then",
                "What is done next",
            ),
            _steps(load, costs),
        ),
        "regions": _table(
            ("Resource", "The largest", "One of mean size", "The smallest", "All regions: units"),
            _regions(load, costs),
        ),
        "machines": _table(("", "That serve", "PostgreSQL", "Standbys"), _machines(load, costs)),
        "parts": _table(("What serving does", "Cores, all regions", "Share"), _parts(load, costs)),
        "first load": _first_load(load, costs),
        "simulation": _table(
            ("Busy", "Mean, calculated", "Mean, simulated", "Error", "Median", "p99"),
            _simulated(costs),
        ),
        "across": _table(
            ("Regions asked", "Slowest region, median", "Answer, median", "Over it", "Answer, p99"),
            _across(costs),
        ),
        "check": _check(costs),
    }


def _load(load: Load) -> Iterator[Sequence[str]]:
    for name, value in asdict(load).items():
        yield _LOAD_UNITS[name], _shown(value)


def _costs(costs: Costs) -> Iterator[Sequence[str]]:
    for name, cost in costs.named().items():
        told = f"`{cost.source}`, measured" if cost.measured else f"assumed: {cost.source}"
        yield name.replace("_", " "), f"{_shown(cost.value)} {cost.unit}".rstrip(), told


def _steps(load: Load, costs: Costs) -> Iterator[Sequence[str]]:
    for number, step in enumerate(STEPS, 1):
        limit = limit_of(step, load, costs)
        rate = _shown(_to_two(limit.calls_per_second))
        stored = f"{_shown(_to_two(limit.stored))} TB"
        yield (
            f"{number}. {step.name}",
            _shown(step.records),
            rate,
            limit.bottleneck,
            stored,
            step.onward,
        )


def _regions(load: Load, costs: Costs) -> Iterator[Sequence[str]]:
    every = [work_of(load, share) for share in shares(load.regions)]
    mean = work_of(load, 1 / load.regions)
    chosen: Sequence[Work] = (every[0], mean, every[-1])
    for of_all in zip(*(demands(work, costs) for work in (*chosen, *every)), strict=True):
        cells = [
            f"{_shown(_to_two(each.needed))} {each.unit} ({each.units})" for each in of_all[:3]
        ]
        yield of_all[0].resource, *cells, _shown(sum(each.units for each in of_all[3:]))


def _machines(load: Load, costs: Costs) -> Iterator[Sequence[str]]:
    every = [machines(work_of(load, share), costs) for share in shares(load.regions)]
    for name, each in (("the largest region", every[0]), ("the smallest", every[-1])):
        yield name, *map(str, each)
    yield "all regions", *(str(sum(column)) for column in zip(*every, strict=True))


def _parts(load: Load, costs: Costs) -> Iterator[Sequence[str]]:
    parts = serving_parts(work_of(load, 1.0), costs)
    whole = sum(parts.values())
    for name, cores in parts.items():
        yield name, _shown(_to_two(cores)), f"{cores / whole:.0%}"


def _first_load(load: Load, costs: Costs) -> str:
    largest = work_of(load, shares(load.regions)[0])
    days = ceil(first_load_days(largest.records, costs))
    records = _shown(_to_two(largest.records))
    return (
        f"The largest region's {records} records, all new at once, are written to its log and map"
        f" by one process in {days} days.\n"
    )


def _simulated(costs: Costs) -> Iterator[Sequence[str]]:
    for busy in _LEVELS:
        process = _process(costs, busy)
        latency = Latency.of(simulated(process, _CALLS))
        mean = calculated_mean(process)
        error = mean / latency.mean - 1
        cells = (_ms(mean), _ms(latency.mean), f"{error:+.0%}", _ms(latency.median))
        yield f"{busy:.0%}", *cells, _ms(latency.p99)


def _across(costs: Costs) -> Iterator[Sequence[str]]:
    home = _process(costs, costs.busy.value)
    for regions in (1, 2, 3, 5, 10, 30):
        whole, slowest = across(home, [home] * regions, _WAY, _CALLS // 4)
        all_, one = Latency.of(whole), Latency.of(slowest)
        over = f"{all_.median / one.median:.2f}"
        yield str(regions), _ms(one.median), _ms(all_.median), over, _ms(all_.p99)


def _check(costs: Costs) -> str:
    seen, cpu = costs.process_calls, costs.call_cpu
    said = 1e6 / cpu.value
    return (
        f"One process: the model says 1 / {_shown(cpu.value)} µs = {_shown(_to_two(said))} calls/s,"
        f" measured were {_shown(_to_two(seen.value))}: {said / seen.value - 1:+.0%}. The CPU of the"
        " keeper, which works beside it on another core, counts in the one and not in the other.\n"
    )


def _process(costs: Costs, busy: float) -> Process:
    cpu = costs.call_cpu.value / 1e6
    return Process(busy / cpu, cpu, costs.commit.value / 1e3)


def _table(heads: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.1f} ms"


def _to_two(value: float) -> float:
    return float(f"{value:.2g}")


def _shown(value: float) -> str:
    if value >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
