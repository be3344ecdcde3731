"""What is installed is whole, and what verifies needs little of it."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from base64 import b64decode
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

from tests.quality.project import ROOT, project_files

PACKAGES = ("gateway", "operators", "consent", "sdk", "protos/creditgate")
NAME = re.compile("[A-Za-z0-9._-]+")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as it is installed."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in ("gateway", "operators", "consent", "sdk", "protos"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in [path for path in ROOT.iterdir() if path.is_file()]:
        shutil.copy(path, source)
    command = f"pip wheel --quiet --no-deps --no-build-isolation --no-index --wheel-dir {folder}"
    subprocess.run(
        [sys.executable, "-m", *command.split(), str(source)], check=True, capture_output=True
    )
    (made,) = folder.glob("*.whl")
    return made


def test_a_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
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


def test_what_is_installed_without_extras_verifies_and_holds_no_server(
    wheel: Path, tmp_path: Path
) -> None:
    place = tmp_path / "venv"
    venv.create(place)
    (site,) = place.glob("lib/python*/site-packages")
    installed = _installed_into(site)
    assert not installed & {"grpcio", "httpx", "starlette", "sqlalchemy", "numpy", "typer"}
    command = f"pip --python {place}/bin/python install --no-index --no-deps --quiet {wheel}"
    subprocess.run([sys.executable, "-m", *command.split()], check=True, capture_output=True)

    vectors = json.loads((ROOT / "docs" / "vectors" / "answers.json").read_text("utf-8"))
    seen: set[bool] = set()
    for each in vectors["answers"]:
        answer = tmp_path / "answer"
        for stale in tmp_path.glob("answer*"):
            stale.unlink()
        for number, part in enumerate(each["parts"], 1):
            file = answer if number == 1 else Path(f"{answer}.{number}")
            file.write_bytes(b64decode(part))
        if each["request"] is not None:
            Path(f"{answer}.request").write_bytes(b64decode(each["request"]))
        if each["verifies"] in seen:
            continue
        seen.add(each["verifies"])
        done = subprocess.run(
            [place / "bin" / "creditgate-verify", "answer", answer, "--key", vectors["key"]],
            cwd=tmp_path,
            env={},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode == 0) == each["verifies"], each["name"] + done.stderr
        assert done.returncode in (0, 1), done.stderr
        if each["verifies"]:
            assert json.loads(done.stdout)["records"] == each["records"]
    assert seen == {True, False}


def _installed_into(site: Path) -> set[str]:
    """Copy what the project needs without extras into ``site``; return the names of it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted, done = list(project["dependencies"]), set[str]()
    while wanted:
        requirement = wanted.pop()
        match = NAME.match(requirement)
        assert match is not None
        if match[0] in done or "extra ==" in requirement:
            continue
        try:
            found = distribution(match[0])
        except PackageNotFoundError:
            # For another Python or system than this.
            assert ";" in requirement, requirement
            continue
        done.add(match[0])
        wanted += found.requires or []
        for file in found.files or []:
            if ".." not in file.parts and "__pycache__" not in file.parts:
                target = site / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(file.locate()), target)
    return done
