"""Commands take no number that a message cannot hold, and tell where they cannot print."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import EVERY, PROGRAM, environment, run_here

_INT64 = 2**63 - 1
_WHOLE: list[Any] = [int, list[int]]


def _numbers(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Give each whole number that a command, or one beneath it, takes as it is written."""
    for name, under in getattr(command, "commands", {}).items():
        yield from _numbers(under, (*words, name))
    for param in command.params:
        told = param.type_descriptor
        if told.annotation in _WHOLE and getattr(told.parameter_info, "parser", None) is None:
            yield " ".join((*words, param.opts[0])), param


def test_every_whole_number_that_a_command_takes_has_bounds_that_a_message_can_hold() -> None:
    numbers = dict(_numbers(EVERY))
    assert {"licence issue --daily-quota", "batch --freshness"} & numbers.keys()
    free = [
        name
        for name, param in numbers.items()
        if None in (bounds := (param.min, param.max))
        or not -_INT64 <= bounds[0] <= bounds[1] <= _INT64
    ]
    assert not free


@pytest.mark.parametrize("as_json", [False, True])
def test_a_quota_that_no_licence_can_hold_is_a_wrong_call(*, as_json: bool) -> None:
    words = ("licence", "issue", "alpha", "L-1", "--until", "2027-01-01", "--reason", "test")
    quota = ("--daily-quota", "99999999999999999999")
    done = run_here(*words, *quota, *(("--json",) if as_json else ()))
    assert done.status == 2
    assert "--daily-quota" in done.out + done.told
    assert "Unexpected" not in done.out + done.told
    if as_json:
        assert done.json["error"]["reason"] == "USAGE"


@pytest.mark.parametrize(
    "words", [("--help",), ("query", "91000000DEM000011A", "--purpose", "supplier-check", "--json")]
)
def test_what_cannot_be_printed_is_told_in_lines_without_a_traceback(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [*PROGRAM, *words],
            env=environment(tmp_path / "home"),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_what_a_terminal_has_no_letters_for_is_escaped(tmp_path: Path) -> None:
    done = subprocess.run(
        [*PROGRAM, "--help"],
        env=environment(tmp_path / "home") | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"\u516c" in done.stdout


@pytest.mark.parametrize("encoding", ["gbk", "latin-1"])
def test_json_stays_json_where_the_terminal_has_no_letters_for_it(
    tmp_path: Path, encoding: str
) -> None:
    named = tmp_path / "Société 𠮷野" / "profile.json"
    done = subprocess.run(
        [*PROGRAM, "operator", "list", "--profile", named, "--json"],
        env=environment(tmp_path / "home") | {"PYTHONIOENCODING": encoding},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert str(named) in json.loads(done.stdout.decode(encoding))["error"]["message"]
