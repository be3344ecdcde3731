"""Protos, stubs and released contract agree."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROTOS = ROOT / "protos"
BUF = Path(sys.executable).parent / "buf"


def run(*command: str | Path) -> None:
    """Run a command in the project; its output is the failure."""
    done = subprocess.run(
        [str(part) for part in command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def stubs_below(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every generated file by path below ``folder``."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.glob("creditgate/v1/*_pb2*.py*"))
        if path.suffix in (".py", ".pyi")
    }


def test_checked_in_stubs_are_what_the_protos_generate(tmp_path: Path) -> None:
    run(sys.executable, PROTOS / "generate.py", tmp_path)
    fresh, kept = stubs_below(tmp_path), stubs_below(PROTOS)
    stale = sorted(name for name in fresh.keys() | kept.keys() if fresh.get(name) != kept.get(name))
    assert fresh
    assert not stale, f"run python protos/generate.py; stale: {stale}"


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("lint",), id="lint"),
        pytest.param(("format", "--diff", "--exit-code"), id="format"),
    ],
)
def test_protos_follow_the_standard_style(arguments: tuple[str, ...]) -> None:
    run(BUF, *arguments)


def test_protos_break_no_released_contract() -> None:
    run(BUF, "breaking", "--against", PROTOS / "released.binpb")
