"""A child of the gateway runs the gateway's code, and no other."""

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
