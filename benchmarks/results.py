"""Results: figures under stable names, beside their goals."""

import json
import os
import platform
import sqlite3
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from benchmarks.processes import ROOT
from benchmarks.rounds import Spread

_PACKAGES: Final = ("grpcio", "uvloop", "sqlalchemy", "protobuf", "fastapi", "pyjwt", "uvicorn")


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure: its stable name, its value over all turns, its unit, and its goal, which
    is a least or a most value."""

    name: str
    spread: Spread
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the median reaches the goal; None without one."""
        if self.at_least is not None:
            return self.spread.median >= self.at_least
        return None if self.at_most is None else self.spread.median <= self.at_most

    @property
    def goal(self) -> str:
        """The goal as shown."""
        if self.at_least is not None:
            return f"≥ {_shown(self.at_least)}"
        return "" if self.at_most is None else f"≤ {_shown(self.at_most)}"

    def as_json(self) -> dict[str, object]:
        """Return the figure as it is written down."""
        goal = {"at_least": self.at_least, "at_most": self.at_most}
        return {
            **self.spread._asdict(),
            "unit": self.unit,
            **{name: value for name, value in goal.items() if value is not None},
            **({} if self.met is None else {"met": self.met}),
        }


def show(measures: Sequence[Measure]) -> None:
    """Print the figures as a table."""
    line = "{:<46} {:>10} {:>9} {:>9} {:>9}  {:<9} {}"
    print(line.format("figure", "goal", "median", "low", "high", "unit", "met"))
    for measure in measures:
        met = {True: "yes", False: "NO", None: ""}[measure.met]
        values = map(_shown, measure.spread)
        print(line.format(measure.name, measure.goal, *values, measure.unit, met).rstrip())


def write(measures: Sequence[Measure], parts: Sequence[str], file: Path) -> None:
    """Write the figures with the time, the commit and the machine they were taken on."""
    document = {
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": _machine(),
        "parts": list(parts),
        "measures": {measure.name: measure.as_json() for measure in measures},
    }
    file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _shown(value: float) -> str:
    if value >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 20 else f"{value:.3f}"


def _commit() -> str:
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or "unknown"


def _machine() -> dict[str, object]:
    return {
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        **{name: version(name) for name in _PACKAGES},
    }
