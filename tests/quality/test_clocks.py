"""Time is given, not looked up: only gateway/clock.py reads the time of day."""

import ast
from collections.abc import Iterator

import pytest

from tests.quality.project import ROOT, project_files

# What reads the time of day: of modules, and of the classes of datetime.
READINGS = {
    "time": {"time", "time_ns"},
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
}
# The client (sdk) is a program of its own, with its own host's time.
FOLDERS = ("gateway", "operators", "consent")
MODULES = [
    path
    for path in project_files(".py")
    if path.relative_to(ROOT).parts[0] in FOLDERS and path != ROOT / "gateway" / "clock.py"
]


def readings(source: str) -> Iterator[str]:
    """Yield where ``source`` reads the time of day."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.ImportFrom(module="time", names=names):
                for name in names:
                    if name.name in READINGS["time"]:
                        yield f"line {node.lineno}: from time import {name.name}"
            case ast.Attribute(value=ast.Name(id=owner) | ast.Attribute(attr=owner), attr=attr):
                if attr in READINGS.get(owner, ()):
                    yield f"line {node.lineno}: {owner}.{attr}"
            case _:
                pass


def test_no_module_reads_the_time_of_day() -> None:
    found = [
        f"{module.relative_to(ROOT)}, {reading}"
        for module in MODULES
        for reading in readings(module.read_text(encoding="utf-8"))
    ]
    assert not found


def test_there_are_modules_to_check_and_a_clock() -> None:
    assert len(MODULES) > 50
    assert list(readings((ROOT / "gateway" / "clock.py").read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.time()",
        "from time import time",
        "time.time_ns()",
        "clock = time.time",
        "datetime.now(UTC)",
        "datetime.datetime.utcnow()",
        "date.today()",
        "datetime.date.today()",
    ],
)
def test_the_check_sees_readings_of_the_time(source: str) -> None:
    assert list(readings(source))


@pytest.mark.parametrize(
    "source",
    ["time.monotonic()", "from time import perf_counter", "clock.now()", "self._clock.now()"],
)
def test_the_check_lets_given_clocks_pass(source: str) -> None:
    assert not list(readings(source))
