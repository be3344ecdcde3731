"""No command writes what it makes over another of its files."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.outputs import output_file
from tests.cli.commands import EVERY, PROGRAM, creditgate_here, environment

ASK = ("--purpose", "bidding")
ISSUE = ("report", "issue", "91000000DEM000011A", "--item", "list.serious-dishonesty", *ASK)
CODE = "91000000DEM000011A\n"
KEY = "log.example+47de1a1f+AQ"


def options(command: Any) -> list[Any]:
    """Return the options and arguments of every command below one."""
    below = getattr(command, "commands", None)
    if below is None:
        return list(command.params)
    return [each for sub in below.values() for each in options(sub)]


def test_every_option_that_names_a_file_to_write_is_told_apart_from_the_others() -> None:
    told = [
        option
        for option in options(EVERY)
        if "--output" in option.opts or (getattr(option, "help", "") or "").startswith("Write")
    ]
    assert len(told) > 10
    for option in told:
        into_folder = "into this folder" in option.help
        assert into_folder or option.callback.__wrapped__ is output_file, option.opts


def refused(home: Path, *words: str | Path) -> str:
    """Return which option a wrong call is refused for."""
    done = creditgate_here(home, *words, "--json")
    error = done.json["error"]
    assert (done.status, error["reason"]) == (2, "USAGE"), done
    assert "would be lost" in error["message"]
    return error["violations"][0]["field"]


@pytest.fixture
def subjects(tmp_path: Path) -> Path:
    """A list of subjects."""
    file = tmp_path / "subjects.txt"
    file.write_text(CODE, encoding="utf-8")
    return file


def test_an_output_is_not_the_input(tmp_path: Path, subjects: Path) -> None:
    home = tmp_path / "home"
    assert refused(home, "batch", subjects, *ASK, "--output", subjects) == "--output"
    assert subjects.read_text(encoding="utf-8") == CODE


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_an_output_is_not_the_input_by_another_name(
    tmp_path: Path, subjects: Path, link: Callable[[Path, Path], None]
) -> None:
    link(subjects, tmp_path / "other")
    command = ("batch", subjects, *ASK, "--output", tmp_path / "other")
    assert refused(tmp_path / "home", *command) == "--output"


def test_an_output_is_not_the_file_behind_standard_input(tmp_path: Path, subjects: Path) -> None:
    with subjects.open("rb") as file:
        done = subprocess.run(
            [*PROGRAM, "batch", "-", *ASK, "--output", str(subjects)],
            env=environment(tmp_path / "home"),
            stdin=file,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert "would be lost" in done.stderr
    assert subjects.read_text(encoding="utf-8") == CODE


def test_an_answer_is_not_saved_over_the_receipt_book(tmp_path: Path) -> None:
    book = tmp_path / "receipts.book"
    command = ("query", CODE.strip(), *ASK, "--book", book, "--save", book)
    assert refused(tmp_path / "home", *command) == "--save"


def test_two_outputs_are_two_files(tmp_path: Path) -> None:
    new = tmp_path / "report"
    command = (*ISSUE, "--output", new, "--pdf", new)
    assert refused(tmp_path / "home", *command) == "--output"


def test_evidence_is_not_written_over_a_state_that_was_kept(tmp_path: Path, subjects: Path) -> None:
    command = ("log", "compare", subjects, "x", "--key", KEY, "--evidence", subjects)
    assert refused(tmp_path / "home", *command) == "--evidence"


def test_what_is_no_file_with_contents_may_be_named_for_several(tmp_path: Path) -> None:
    nowhere = Path(os.devnull)
    command = (*ISSUE, "--output", nowhere, "--pdf", nowhere)
    done = creditgate_here(tmp_path / "home", *command, "--json")
    assert "would be lost" not in done.out
