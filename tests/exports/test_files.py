"""Files of events are only appended to, on disk before they are told, and never written on after
a crash."""

import json
from pathlib import Path

import pytest

from gateway.exports import file as filing
from gateway.exports.file import EventFiles
from tests.exports.test_events import USE
from tests.exports.world import ISSUER, Ledger
from tests.meter.world import NOW, claim


def _ids(folder: Path) -> list[str]:
    return [
        json.loads(line)["id"]
        for file in sorted(folder.iterdir())
        for line in file.read_bytes().splitlines()
    ]


def test_uses_of_a_ledger_are_in_files(ledger: Ledger, tmp_path: Path) -> None:
    folder = tmp_path / "events"
    ledger.charge(claim("r-1", [1]), claim("r-2", [2, 3]))
    ledger.tell(EventFiles(folder, ISSUER))
    ledger.charge(claim("r-3", [4]))
    # Another process goes on where the first was.
    ledger.tell(EventFiles(folder, ISSUER))
    assert _ids(folder) == [f"operators/alpha/usage/{place}/lines/0" for place in range(3)]
    (file,) = folder.iterdir()
    assert (file.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)


def test_another_folder_gets_all_from_the_first(ledger: Ledger, tmp_path: Path) -> None:
    ledger.charge(claim("r-1", [1]))
    for name in ("one", "two"):
        ledger.tell(EventFiles(tmp_path / name, ISSUER))
    assert _ids(tmp_path / "one") == _ids(tmp_path / "two") != []


def test_large_file_is_followed_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filing, "MOST_BYTES", 1_000)
    files = EventFiles(tmp_path, ISSUER)
    # The clock may stand still or go back.
    for number, at in enumerate((NOW, NOW, NOW, NOW - 5, NOW + 5, NOW, NOW)):
        files.take([USE._replace(usage_index=number)], at)
    assert len([*tmp_path.iterdir()]) == 4
    assert _ids(tmp_path) == [f"operators/alpha/usage/{number}/lines/1" for number in range(7)]


def test_line_that_a_crash_cut_off_is_not_written_on(tmp_path: Path) -> None:
    files = EventFiles(tmp_path, ISSUER)
    files.take([USE], NOW)
    (first,) = tmp_path.iterdir()
    with first.open("ab") as file:
        file.write(b'{"specversion":"1.')
    files.take([USE], NOW + 1)
    torn, whole = sorted(tmp_path.iterdir())
    assert torn == first
    assert not torn.read_bytes().endswith(b"\n")
    assert json.loads(whole.read_bytes())["id"] == "operators/alpha/usage/12/lines/1"


def test_a_folder_that_cannot_be_written_to_is_told_once_in_words(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    in_the_way = tmp_path / "events"
    in_the_way.touch()
    files = EventFiles(in_the_way, ISSUER)
    for _ in range(2):
        with pytest.raises(FileExistsError):
            files.take([USE], NOW)
    (told,) = [record.getMessage() for record in caplog.records]
    assert "usage_export_folder" in told
    assert "File exists" in told
    in_the_way.unlink()
    files.take([USE], NOW)
    assert len(_ids(in_the_way)) == 1
    assert len(caplog.records) == 1
