"""What is installed is whole."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.quality.project import ROOT, project_files

PACKAGES = ("gateway", "operators", "consent", "sdk", "protos/creditgate")


def test_a_wheel_holds_every_file_of_the_packages(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in ("gateway", "operators", "consent", "sdk", "protos"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in [path for path in ROOT.iterdir() if path.is_file()]:
        shutil.copy(path, source)
    command = f"pip wheel --quiet --no-deps --no-build-isolation --no-index --wheel-dir {tmp_path}"
    subprocess.run(
        [sys.executable, "-m", *command.split(), str(source)], check=True, capture_output=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    wanted = {
        path.relative_to(ROOT).as_posix().removeprefix("protos/")
        for path in project_files("")
        if path.is_relative_to(ROOT) and path.relative_to(ROOT).as_posix().startswith(PACKAGES)
    }
    assert "creditgate/v1/vocabulary.proto" in wanted
    assert wanted <= packed, sorted(wanted - packed)
    assert "creditgate/v1/vocabulary_pb2.py" in packed
