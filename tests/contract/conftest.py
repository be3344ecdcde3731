"""Where the real data is, which is not shipped with the project."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real data: CREDITGATE_DATA, or shared/data beside the project.

    Without it the test is skipped, except in continuous integration (CI=true),
    where a silent gap would pass for coverage.
    """
    setting = os.environ.get("CREDITGATE_DATA")
    folder = Path(setting) if setting else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        reason = f"no real data in {folder}; set CREDITGATE_DATA to its folder"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder
