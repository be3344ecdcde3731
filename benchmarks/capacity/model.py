"""What a region's work takes of each resource, and how much of it one machine or process has.

Rules alone: nothing here measures or reads. A resource *splits* where more machines bring more of it;
what does not is done by one at a time on a store, and more stores are the way out.
"""

from dataclasses import dataclass, replace
from math import ceil
from typing import Final, NamedTuple

from benchmarks.capacity.inputs import Costs, Load

_DAY: Final = 86_400.0
_YEAR: Final = 365 * _DAY
_MONTH_DAYS: Final = 30
_US: Final = 1e-6
_CLOSED_AT_ONCE: Final = 10_000_000
_NIGHT_DAYS: Final = 3
"""A month is to be closed in so many days, by one process."""
_WRITTEN_A_CLAIM: Final = 15 * _US
"""CPU of the ledger's thread for a claim on SQLite, which one process at a time has."""
_OF_DATABASE: Final = ("PostgreSQL CPU", "PostgreSQL WAL", "storage")
_READ_CPU: Final = 60 * _US
"""PostgreSQL's CPU of reading what a call asks about: three statements."""


class Work(NamedTuple):
    """What one region has to do; rates are a second's at the peak."""

    records: float
    own_calls: float
    asked_elsewhere: float
    """Questions it asks other regions."""
    asked_from_elsewhere: float
    batch_records: float
    events: float
    answers_kept: float
    """Answers in the ledger."""
    tokens: float
    entries_a_month: float
    reconciliations_a_day: float

    @property
    def answers(self) -> float:
        """Answers given, each metered."""
        return self.own_calls + self.asked_from_elsewhere

    @property
    def commits(self) -> float:
        """What is metered: answers, and what was asked elsewhere for one's own operators."""
        return self.answers + self.asked_elsewhere


def shares(regions: int) -> list[float]:
    """Return each region's share of records and calls, the largest first: by rank to the power
    of -0.6, which gives the largest of 31 an eighth."""
    weights = [rank**-0.6 for rank in range(1, regions + 1)]
    return [weight / sum(weights) for weight in weights]


def work_of(load: Load, share: float) -> Work:
    """Return the work of a region with so large a share of records and of calls."""
    calls = load.calls_per_second * share
    crossing = calls * load.crossing * load.regions_per_crossing
    mean_answers = (calls + crossing) / load.peak_over_mean
    return Work(
        records=load.records * share,
        own_calls=calls,
        asked_elsewhere=crossing,
        asked_from_elsewhere=crossing,
        batch_records=load.batch_records_per_second * share,
        events=load.records * share / (load.revision_years * _YEAR) * load.event_peak_over_mean,
        answers_kept=mean_answers * _DAY * load.ledger_days,
        tokens=load.operators * load.clients_per_operator / 240.0 * share,
        entries_a_month=_MONTH_DAYS
        * (
            mean_answers * _DAY * load.records_per_answer
            + load.batch_records_per_second * share * load.batch_hours * 3_600
        ),
        reconciliations_a_day=load.reconciliations_per_day * share,
    )


class Demand(NamedTuple):
    """What is needed of a resource, and what one unit of it gives when it is as busy as it may
    be. ``unit`` is the unit of both."""

    resource: str
    needed: float
    of_one: float
    unit: str
    splits: bool

    @property
    def units(self) -> int:
        """How many it takes."""
        return max(1, ceil(self.needed / self.of_one))


def serving_parts(work: Work, costs: Costs) -> dict[str, float]:
    """Return the cores that each part of serving takes."""
    call = costs.call_cpu.value * _US
    return {
        "answering": work.own_calls * call
        + work.asked_from_elsewhere * call * costs.proof_over_call.value,
        # It costs what answering does: a question, a proof to verify, a commit.
        "asking other regions": work.asked_elsewhere * call,
        "batches": work.batch_records / costs.batch_records_per_core.value,
        "tokens": work.tokens / costs.tokens_per_second.value,
        "reconciling": work.reconciliations_a_day * costs.reconciliation_cpu.value / _DAY,
    }


def demands(work: Work, costs: Costs) -> list[Demand]:
    """Return what the work needs of each resource of an installation on PostgreSQL."""
    busy = costs.busy.value
    database = costs.database_cpu.value * _US + _READ_CPU
    wal = work.commits * costs.answer_wal.value + work.events * costs.record_bytes.value
    wire = 8 * (
        (work.answers + work.asked_elsewhere) * costs.wire_bytes.value
        + work.batch_records * costs.wire_bytes.value / 3
    )
    following = (costs.followed_cpu.value + costs.logged_cpu.value) * _US
    closing = costs.closing_cpu.value / _CLOSED_AT_ONCE
    cores = costs.database_cores.value
    return [
        Demand("serving CPU", sum(serving_parts(work, costs).values()), costs.serving_cores.value * busy, "cores", splits=True),
        Demand("PostgreSQL CPU", work.commits * database, cores * busy, "cores", splits=False),
        Demand("PostgreSQL WAL", wal / 1e6, costs.wal_bytes_per_second.value * busy / 1e6, "MB/s", splits=False),
        Demand("storage", _stored(work, costs) / 1e12, costs.shard_bytes.value / 1e12, "TB", splits=False),
        Demand("group commits", work.commits / costs.claims_per_group.value, 1e3 / costs.commit.value * busy, "commits/s", splits=True),
        Demand("logs of decisions and uses", work.answers * following, busy, "of one process", splits=False),
        Demand("disclosure log and map", work.events, costs.events_per_second.value * busy, "events/s", splits=False),
        Demand("network", wire / 1e9, costs.wire_bits.value * busy / 1e9, "Gbit/s", splits=True),
        Demand("closing a month in three days", work.entries_a_month * closing / (_NIGHT_DAYS * _DAY), 1.0, "of one process", splits=False),
    ]  # fmt: skip


def _stored(work: Work, costs: Costs) -> float:
    return (
        work.records * (costs.record_bytes.value + costs.map_writes.value)
        + work.answers_kept * costs.answer_bytes.value
    )


class Machines(NamedTuple):
    """How many machines an installation takes."""

    serving: int
    database: int
    standby: int


def machines(work: Work, costs: Costs) -> Machines:
    """Return the machines of an installation: two that serve at least, so that one may fail, and
    a standby for each of PostgreSQL's."""
    units = {each.resource: each.units for each in demands(work, costs)}
    database = max(units[name] for name in _OF_DATABASE)
    return Machines(max(2, units["serving CPU"]), database, database)


def first_load_days(records: float, costs: Costs) -> float:
    """Return for how long a region's log and map are written when all its records come at
    once, in days."""
    return records / costs.events_per_second.value / _DAY


@dataclass(frozen=True, slots=True)
class Step:
    """A step of growth: how many units of what there are (one where nothing is said), how
    many records a region of it holds, and what is done next."""

    name: str
    records: float
    units: tuple[tuple[str, float], ...]
    onward: str
    embedded: bool = False


class Limit(NamedTuple):
    """How many calls a second a step takes at the peak, what ends there, and how much is stored
    when it has gone on for as long as answers are kept, in TB."""

    calls_per_second: float
    bottleneck: str
    stored: float


def limit_of(step: Step, load: Load, costs: Costs) -> Limit:
    """Return what a region at this step can take, of calls as ``load`` mixes them; disks are
    taken to be as large as that wants."""
    low, high = 0.0, 1e9
    # Everything grows with the calls, so half the way each time comes as near as is wanted.
    for _ in range(60):
        middle = (low + high) / 2
        if _fullest(step, load, costs, middle)[1] > 1:
            high = middle
        else:
            low = middle
    stored = _stored(_work_at(step, load, low), costs) / 1e12
    return Limit(low, _fullest(step, load, costs, low)[0], stored)


def _work_at(step: Step, load: Load, calls: float) -> Work:
    rate = calls / load.calls_per_second
    region = replace(
        load,
        calls_per_second=calls,
        records=int(step.records),
        batch_records_per_second=load.batch_records_per_second * rate,
        reconciliations_per_day=load.reconciliations_per_day * rate,
    )
    return work_of(region, 1.0)


def _fullest(step: Step, load: Load, costs: Costs, calls: float) -> tuple[str, float]:
    work = _work_at(step, load, calls)
    units = dict(step.units)
    taken = {
        each.resource: each.needed / (each.of_one * units.get(each.resource, 1.0))
        for each in demands(work, costs)
        if each.resource != "storage"
        and not (step.embedded and each.resource.startswith("PostgreSQL"))
    }
    if step.embedded:
        one = _WRITTEN_A_CLAIM + costs.commit.value / 1e3 / costs.claims_per_group.value
        taken["SQLite's one writer"] = work.commits * one / costs.busy.value
    return max(taken.items(), key=lambda each: each[1])


STEPS: Final = (
    Step(
        "one machine of 2 cores, SQLite",
        10e6,
        (("serving CPU", 2 / 32),),
        "more cores, `workers` about as many",
        embedded=True,
    ),
    Step(
        "one machine of 32 cores, SQLite",
        300e6,
        (),
        "months closed by several processes, each some of the operators",
        embedded=True,
    ),
    Step(
        "the same, months closed by four",
        300e6,
        (("closing a month in three days", 4),),
        "PostgreSQL, where processes write at once",
        embedded=True,
    ),
    Step(
        "two machines that serve, one of PostgreSQL with a standby",
        2.5e9,
        (
            ("serving CPU", 2),
            ("group commits", 2),
            ("network", 2),
            ("closing a month in three days", 4),
        ),
        "logs by ranges of subjects, each with a keeper: not built; regions that part their load",
    ),
    Step(
        "the same, four ranges with a keeper each",
        10e9,
        (
            ("serving CPU", 2),
            ("group commits", 2),
            ("network", 2),
            ("disclosure log and map", 4),
            ("logs of decisions and uses", 4),
            ("closing a month in three days", 16),
        ),
        "tables spread over machines by Citus or an engine like it",
    ),
)
"""Each step is what comes after the bottleneck of the one before."""
