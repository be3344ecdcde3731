"""The files of ``creditgate batch``: subjects as people save them, records kept until others come."""

import os
from pathlib import Path

import pytest

from gateway.demo.cast import invented_code
from gateway.demo.invented import EXPIRED
from tests.cli.commands import Done, Served

ALPHA = "alpha-client"
NONE_OF = invented_code(98)
EARLIER = '{"record_id": "paid-for"}\n'


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """A file with records of an earlier batch."""
    file = tmp_path / "records.jsonl"
    file.write_text(EARLIER, encoding="utf-8")
    return file


def batch(served: Served, tmp_path: Path, subject: str, *words: str | Path) -> Done:
    """Ask for one subject's records by a batch."""
    subjects = tmp_path / "subjects"
    subjects.write_text(f"{subject}\n", encoding="utf-8")
    return served.run(ALPHA, "batch", subjects, "--purpose", "supplier-check", *words)


def test_a_refused_batch_leaves_the_records_of_an_earlier_one(
    served: Served, tmp_path: Path, output: Path
) -> None:
    same = ("--request-id", "asked-before")
    assert batch(served, tmp_path, EXPIRED, *same).status == 0
    refused = batch(served, tmp_path, NONE_OF, *same, "--output", output)
    assert refused.status == 2
    assert refused.told.startswith("REQUEST_ID_REUSED")
    assert output.read_text(encoding="utf-8") == EARLIER


@pytest.mark.parametrize(("subject", "records"), [(EXPIRED, 1), (NONE_OF, 0)])
def test_an_answered_batch_leaves_none_but_its_own_records(
    served: Served, tmp_path: Path, output: Path, subject: str, records: int
) -> None:
    assert batch(served, tmp_path, subject, "--output", output).status == 0
    lines = output.read_text(encoding="utf-8").splitlines()
    assert len(lines) == records
    assert all(subject in line for line in lines)


def test_records_that_may_have_been_acknowledged_are_not_overwritten(
    served: Served, tmp_path: Path, output: Path
) -> None:
    taken = ("--acknowledged", "--request-id", "not-overwritten")
    kept = batch(served, tmp_path, EXPIRED, *taken, "--output", output)
    assert kept.status == 1
    assert str(output) in kept.told
    assert output.read_text(encoding="utf-8") == EARLIER
    assert served.refusal(ALPHA, "usage", "delivery", "not-overwritten") == "RESOURCE_NOT_FOUND"


def test_records_are_on_the_disk_when_they_are_acknowledged(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "records.jsonl"
    synced: list[str] = []
    sync = os.fsync

    def noted(descriptor: int) -> None:
        if os.path.samestat(os.fstat(descriptor), output.stat()):
            synced.append(output.read_text(encoding="utf-8"))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    taken = ("--acknowledged", "--request-id", "on-disk", "--output", output)
    assert batch(served, tmp_path, EXPIRED, *taken).status == 0
    assert synced[-1:] == [output.read_text(encoding="utf-8")]
    assert EXPIRED in synced[-1]


def test_nothing_is_acknowledged_that_is_written_nowhere(served: Served, tmp_path: Path) -> None:
    taken = ("--acknowledged", "--request-id", "nowhere", "--save", tmp_path / "saved")
    done = batch(served, tmp_path, EXPIRED, *taken)
    assert done.status == 1
    assert "--output" in done.told
    assert served.refusal(ALPHA, "usage", "delivery", "nowhere") == "RESOURCE_NOT_FOUND"


def test_a_byte_order_mark_is_no_part_of_a_code(served: Served, tmp_path: Path) -> None:
    assert batch(served, tmp_path, f"\ufeff{EXPIRED}").status == 0


def test_subjects_in_another_encoding_are_told_with_the_mend(
    served: Served, tmp_path: Path
) -> None:
    subjects = tmp_path / "subjects"
    subjects.write_text(f"{EXPIRED}\n", encoding="utf-16")
    done = served.run(ALPHA, "batch", subjects, "--purpose", "supplier-check")
    assert done.status == 1
    assert "UTF-8" in done.told
