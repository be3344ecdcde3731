"""A month of ten million entries closed: CPU and most memory of the process that does.

Every closing is checked: it counts every entry there is, and gives the same bytes each time."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.closing_once import PLAIN
from benchmarks.parts.stage import Stage
from benchmarks.processes import ROOT, Failed
from benchmarks.results import Measure
from benchmarks.rounds import Spread
from benchmarks.used import RECORDS_AN_ANSWER, used

_ENTRIES: Final = 10_000_000
_QUICK_ENTRIES: Final = 300_000
_MOST_TURNS: Final = 2
_MEBI: Final = 1 << 20


class _Closed(NamedTuple):
    cpu: float
    memory: int
    entries: int
    digest: str


def measure(stage: Stage) -> list[Measure]:
    """Return what closing takes: where every entry is read, and where the store counts."""
    entries = _ENTRIES if stage.pace.turns > _MOST_TURNS else _QUICK_ENTRIES
    answers = -(-entries // RECORDS_AN_ANSWER)
    folder = used(stage.folder / f"used-{entries}", answers)
    measures: list[Measure] = []
    for name, arguments in (("every_entry_read", ()), ("counted_by_the_store", (PLAIN,))):
        turns = [_closed(folder, *arguments) for _ in range(_MOST_TURNS)]
        if len({turn.digest for turn in turns}) > 1:
            raise Failed("closing again gave other bytes")
        # One record of an answer in a thousand is credited again.
        if turns[0].entries != answers * RECORDS_AN_ANSWER - -(-(answers - 7) // 1_000):
            raise Failed(f"a closing counted {turns[0].entries} entries")
        goal = 60.0 if entries == _ENTRIES else None
        measures += [
            Measure(
                f"closing.{name}_cpu_{entries}",
                Spread.of([turn.cpu for turn in turns]),
                "s",
                at_most=goal,
            ),
            Measure(
                f"closing.{name}_memory_{entries}",
                Spread.of([turn.memory / _MEBI for turn in turns]),
                "MiB",
            ),
        ]
    return measures


def _closed(folder: Path, *arguments: str) -> _Closed:
    done = subprocess.run(
        (sys.executable, "-m", "benchmarks.closing_once", folder, *arguments),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Failed("a closing ended without its outcome; see above.")
    return _Closed(**json.loads(done.stdout))
