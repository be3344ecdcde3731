"""A child of the gateway runs the gateway's code, and no other."""

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.server.child import ChildProcess


async def test_nothing_is_run_that_lies_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lies_here.py").write_text("print('run')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    child = ChildProcess.spawned("lies_here", b"", ())
    assert await child.heard() == b""
    assert await child.wait() == 1


_FORKS = """
import asyncio
from gateway.server.child import ChildProcess

def told_why():
    raise SystemExit(1)

async def ended(child):
    return await child.wait()

print(asyncio.run(ended(ChildProcess.forked(told_why, b"", ()))))
"""


def test_a_forked_child_that_has_told_why_it_ends_shows_no_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FORKS], capture_output=True, text=True, timeout=30, check=True
    )
    assert (done.stdout, done.stderr) == ("1\n", "")
