"""The server's memory while a million records are streamed from it."""

from typing import Final

from benchmarks.parts.batch import CLIENT
from benchmarks.parts.stage import USUAL, Stage
from benchmarks.results import Measure
from benchmarks.rounds import Side, Spread

# As many fill the bounded page cache of the usage ledger, which is no growth to speak of.
_WARM_UP_RECORDS: Final = 1_000_000
_RECORDS: Final = 1_000_000


def measure(stage: Stage) -> list[Measure]:
    """Return memory after the records over memory before, and the memory itself."""
    with stage.gateway(USUAL) as gateway:
        one_stream = {"connections": 1, "in_flight": 1}
        with gateway.loaded(CLIENT, gateway.job.model_copy(update=one_stream)) as side:
            _stream(side, _WARM_UP_RECORDS)
            held = _stream(side, _RECORDS)
    quarter = max(1, len(held) // 4)
    before, after = Spread.of(held[:quarter]), Spread.of(held[-quarter:])
    growth = after.median / before.median
    return [
        Measure(
            "memory.after_over_before_1000000_records",
            Spread(growth, after.low / before.high, after.high / before.low),
            at_most=1.05,
        ),
        Measure("memory.server_while_streaming", Spread.of(held), "MB"),
    ]


def _stream(side: Side, records: int) -> list[float]:
    """Stream at least so many records; return the server's megabytes after each batch."""
    held: list[float] = []
    done = 0
    while done < records:
        done += side.run(0).records
        held.append(side.server.memory / 1e6)
    return held
