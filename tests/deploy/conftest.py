"""A folder to start commands from."""

from pathlib import Path

import pytest


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A working folder where nothing can be written."""
    folder = tmp_path / "bare"
    folder.mkdir(mode=0o555)
    return folder
