"""The capacity model: what it says follows from what goes in, and the page says the same."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.capacity.inputs import LATEST, Load, read_costs
from benchmarks.capacity.model import (
    STEPS,
    demands,
    limit_of,
    machines,
    serving_parts,
    shares,
    work_of,
)
from benchmarks.capacity.page import PAGE, filled
from benchmarks.capacity.simulation import Latency, Process, across, calculated_mean, simulated
from benchmarks.capacity.tables import tables

COSTS = read_costs()
LOADS = st.builds(
    Load,
    records=st.integers(10**6, 10**12),
    calls_per_second=st.floats(1, 10**6),
    crossing=st.floats(0, 1),
    ledger_days=st.integers(1, 4_000),
)


def test_the_page_says_what_the_model_says() -> None:
    kept = PAGE.read_text(encoding="utf-8")
    assert filled(kept, tables(Load(), COSTS)) == kept, "run make docs"


def test_a_page_without_a_place_for_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for load"):
        filled("# A page", {"load": "| a |"})


def test_a_figure_that_was_measured_takes_the_place_of_an_assumed_one(tmp_path: Path) -> None:
    figures = json.loads(LATEST.read_text(encoding="utf-8"))
    figures["measures"] = {"append.events_per_second_with_map": {"median": 7_000.0}}
    file = tmp_path / "figures.json"
    file.write_text(json.dumps(figures), encoding="utf-8")
    costs = read_costs(file)
    assert (costs.events_per_second.value, costs.events_per_second.measured) == (7_000.0, True)
    assert not costs.call_cpu.measured
    assert "`unary.gateway_server_cpu_per_call` is not in the figures" in costs.call_cpu.source


@given(regions=st.integers(1, 500))
def test_the_regions_share_the_whole_the_largest_first(regions: int) -> None:
    each = shares(regions)
    assert sum(each) == pytest.approx(1)
    assert each == sorted(each, reverse=True)


@given(load=LOADS)
def test_what_regions_ask_of_each_other_is_answered_by_others(load: Load) -> None:
    works = [work_of(load, share) for share in shares(load.regions)]
    assert sum(work.asked_elsewhere for work in works) == pytest.approx(
        sum(work.asked_from_elsewhere for work in works)
    )
    assert sum(work.own_calls for work in works) == pytest.approx(load.calls_per_second)
    assert sum(work.records for work in works) == pytest.approx(load.records)


@given(load=LOADS, more=st.floats(1, 10))
def test_more_calls_never_need_less_of_anything(load: Load, more: float) -> None:
    work = work_of(load, 0.1)
    grown = work_of(replace(load, calls_per_second=load.calls_per_second * more), 0.1)
    for one, other in zip(demands(work, COSTS), demands(grown, COSTS), strict=True):
        assert other.needed >= one.needed
        assert one.units * one.of_one >= one.needed


@given(load=LOADS)
def test_the_machines_hold_and_answer_all_there_is(load: Load) -> None:
    work = work_of(load, 1.0)
    wanted = machines(work, COSTS)
    serving = sum(serving_parts(work, COSTS).values())
    assert wanted.serving * COSTS.serving_cores.value * COSTS.busy.value >= serving * 0.999
    assert wanted.serving >= 2
    assert wanted.standby == wanted.database
    stored = next(each for each in demands(work, COSTS) if each.resource == "storage")
    assert wanted.database * COSTS.shard_bytes.value / 1e12 >= stored.needed * 0.999


def test_each_step_of_growth_takes_more_and_ends_at_something_else() -> None:
    limits = [limit_of(step, Load(), COSTS) for step in STEPS]
    rates = [limit.calls_per_second for limit in limits]
    assert rates == sorted(rates)
    assert all(one.bottleneck != other.bottleneck for one, other in pairwise(limits))


def test_at_its_limit_a_step_has_no_room_and_below_it_has() -> None:
    step = STEPS[0]
    limit = limit_of(step, Load(), COSTS).calls_per_second
    work = work_of(replace(Load(), calls_per_second=limit, records=int(step.records)), 1.0)
    cores = 2 * COSTS.busy.value
    own = serving_parts(work, COSTS)
    assert own["answering"] + own["asking other regions"] < cores
    assert own["answering"] + own["asking other regions"] > 0.8 * cores


def test_without_a_ledger_a_process_is_the_queue_of_the_books() -> None:
    # M/M/1: mean time in the system is 1 / (service rate - arrival rate).
    process = Process(calls_per_second=600, cpu=0.001, commit=0.0)
    mean = Latency.of(simulated(process, 200_000)).mean
    assert mean == pytest.approx(1 / (1_000 - 600), rel=0.05)


@pytest.mark.parametrize("busy", [0.2, 0.5, 0.7, 0.9])
def test_calculation_and_simulation_differ_by_a_tenth_at_most(busy: float) -> None:
    process = Process(busy / 0.0003, 0.0003, 0.001)
    mean = Latency.of(simulated(process, 100_000)).mean
    assert calculated_mean(process) == pytest.approx(mean, rel=0.1)


def test_more_than_a_process_can_answer_is_refused() -> None:
    with pytest.raises(ValueError, match="more calls come"):
        simulated(Process(1_000, 0.001, 0.001), 10)


def test_an_answer_of_several_regions_waits_for_the_slowest() -> None:
    home = Process(1_000, 0.0003, 0.001)
    whole, slowest = across(home, [home, home, home], 0.02, 5_000)
    assert all(all_ > one > 0.04 for all_, one in zip(whole, slowest, strict=True))
    alone = Latency.of(across(home, [home], 0.02, 5_000)[1]).median
    assert Latency.of(slowest).median > alone
