"""The files of the project, and its tools."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
MADE = {"build", "dist", "node_modules", "var", "__pycache__"}


def project_files(*endings: str) -> list[Path]:
    """Return the files kept in the project, generated stubs left out, by ending (".py")."""
    return sorted(
        path
        for path in _walk(ROOT)
        if path.name.endswith(endings) and "_pb2" not in path.name and path.suffix != ".binpb"
    )


def _walk(folder: Path) -> Iterator[Path]:
    for entry in os.scandir(folder):
        if not entry.is_dir(follow_symlinks=False):
            yield Path(entry.path)
        elif entry.name == ".ci" or not (
            entry.name in MADE or entry.name.startswith(".") or entry.name.endswith(".egg-info")
        ):
            yield from _walk(Path(entry.path))


def run(*command: str | Path) -> None:
    """Run a tool of the environment in the project; what it says is the failure."""
    done = subprocess.run(
        [BIN / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
