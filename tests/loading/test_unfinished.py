"""What a killed process left beside the place of a file goes with the next one for that place."""

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from sdk.loading.unfinished import UnfinishedFile

_WRITES = """
import sys
from pathlib import Path
from sdk.loading.unfinished import UnfinishedFile
unfinished = UnfinishedFile(Path(sys.argv[1]))
unfinished.file.write("theirs")
print("writes", flush=True)
if sys.stdin.read() == "whole":
    unfinished.put()
"""


@contextmanager
def another(path: Path) -> Generator[subprocess.Popen[str]]:
    """Give a process that writes the same file, until it is told that this is whole."""
    command = [sys.executable, "-c", _WRITES, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writes\n"
        try:
            yield process
        finally:
            process.kill()


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    for name in ("r.csv", "other.csv"):
        with another(tmp_path / name):
            pass
    (tmp_path / ".r.csv.mine.part").touch()
    assert len(list(tmp_path.iterdir())) == 3
    UnfinishedFile(tmp_path / "r.csv").throw_away()
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left[0].startswith(".other.csv.")
    assert left[1:] == [".r.csv.mine.part"]


def test_what_another_process_writes_is_left_to_it(tmp_path: Path) -> None:
    place = tmp_path / "r.csv"
    with another(place) as process:
        ours = UnfinishedFile(place)
        ours.file.write("ours")
        ours.put()
        assert place.read_text(encoding="utf-8") == "ours"
        process.communicate("whole")
        assert process.returncode == 0
    assert place.read_text(encoding="utf-8") == "theirs"
    assert list(tmp_path.iterdir()) == [place]
