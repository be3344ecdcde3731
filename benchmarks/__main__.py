"""``python -m benchmarks``: run the parts, print the figures, write them down."""

import argparse
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from benchmarks import results
from benchmarks.capacity.page import show as show_capacity
from benchmarks.parts import (
    append,
    batch,
    closing,
    complete,
    consent,
    conventional,
    fanout,
    lookup,
    memory,
    metering,
    notify,
    proof_size,
    reconcile,
    scaling,
    token,
    unary,
)
from benchmarks.parts.stage import Stage
from benchmarks.processes import ROOT, Failed
from benchmarks.profiling import profile_unary
from benchmarks.rounds import Pace

PARTS: Final[Mapping[str, Callable[[Stage], list[results.Measure]]]] = {
    "unary": unary.measure,
    "conventional": conventional.measure,
    "batch": batch.measure,
    "memory": memory.measure,
    "lookup": lookup.measure,
    "token": token.measure,
    "metering": metering.measure,
    "consent": consent.measure,
    "append": append.measure,
    "complete": complete.measure,
    "notify": notify.measure,
    "reconcile": reconcile.measure,
    "proofsize": proof_size.measure,
    "closing": closing.measure,
    "fanout": fanout.measure,
    "scaling": scaling.measure,
}
_CAPACITY: Final = "capacity"
_FULL: Final = Pace(turns=7, seconds=3.2, warm_up=5, slices=4, rest=1.5)
_QUICK: Final = Pace(turns=2, seconds=0.5, warm_up=0.2, slices=2, rest=0.0)
_LATEST: Final = ROOT / "benchmarks" / "latest.json"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks",
        description="Measure the gateway; every ratio is taken in one run."
        " A full run of all parts writes benchmarks/latest.json.",
    )
    parser.add_argument(
        "parts",
        nargs="*",
        metavar="PART",
        help=f"of {', '.join(PARTS)}; all. Or {_CAPACITY}: print the tables of docs/scale.md",
    )
    parser.add_argument("--quick", action="store_true", help="short rounds: a rough look")
    parser.add_argument(
        "--profile", action="store_true", help="print where a unary call's time goes"
    )
    parser.add_argument("--output", type=Path, help="write the figures to this file instead")
    parser.add_argument(
        "--folder",
        type=Path,
        default=ROOT / "var" / "bench",
        help="where installations are kept from run to run (var/bench)",
    )
    arguments = parser.parse_args()
    if arguments.parts == [_CAPACITY]:
        return arguments
    if unknown := set(arguments.parts) - PARTS.keys():
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    return arguments


def _main() -> int:
    arguments = _arguments()
    if arguments.parts == [_CAPACITY]:
        show_capacity()
        return 0
    stage = Stage(arguments.folder.absolute(), _QUICK if arguments.quick else _FULL)
    if arguments.profile:
        profile_unary(stage)
        return 0
    chosen = [name for name in PARTS if name in arguments.parts or not arguments.parts]
    measures: list[results.Measure] = []
    for name in chosen:
        print(f"{name} ...", flush=True)
        measures += PARTS[name](stage)
    results.show(measures)
    whole = not (arguments.quick or arguments.parts)
    file: Path | None = arguments.output or (_LATEST if whole else None)
    if file is None:
        print("A part or a quick look is not written down; --output FILE writes it.")
    else:
        results.write(measures, chosen, file)
        print(f"Written to {file}")
    return 0


def _stop(number: int, _frame: object) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    # So that the child processes are ended with it.
    signal.signal(signal.SIGTERM, _stop)
    try:
        sys.exit(_main())
    except Failed as error:
        sys.exit(f"benchmarks: {error}")
