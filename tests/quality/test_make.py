"""make helps: every target is listed, and setup says how to mend what is missing."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.quality.project import ROOT

SYSTEMS = Path("/usr/bin/python3")

# A build backend of the test's own: it needs nothing installed.
BACKEND = """
import zipfile

def build_editable(folder, config_settings=None, metadata_directory=None):
    info, name = "creditgate-0.dist-info", "creditgate-0-py3-none-any.whl"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: creditgate\\nVersion: 0\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return name
"""
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


def cloned(folder: Path) -> Path:
    """Return a project with the real setup, nothing to install, and a space in its path."""
    clone = folder / "a clone"
    shutil.copytree(ROOT / ".ci", clone / ".ci", ignore=shutil.ignore_patterns("__pycache__"))
    (clone / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    (clone / "backend.py").write_text(BACKEND, encoding="utf-8")
    for lock in ("requirements.lock", "requirements-dev.lock"):
        (clone / lock).write_text("", encoding="utf-8")
    return clone


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone as one gets it."""
    return cloned(tmp_path)


@pytest.fixture(scope="module")
def used_clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone that the tests take turns with: making its environment takes seconds."""
    return cloned(tmp_path_factory.mktemp("used"))


def setup(clone: Path, kind: str = "runtime", **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the setup of a clone, from elsewhere."""
    environment = {**os.environ, "PYTHON": sys.executable, "PIP_NO_INDEX": "1", **settings}
    return subprocess.run(
        ["sh", clone / ".ci" / "setup", kind],
        cwd=clone.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def script(path: Path, body: str) -> str:
    """Return a program that can be run."""
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):(?!=)", makefile, re.MULTILINE))
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {"demo", "serve", "test", "bench"} <= targets
    assert set(re.findall(r"^  make (\S+) +\S", done.stdout, re.MULTILINE)) == targets


@pytest.mark.parametrize("target", ["demo", "serve"])
def test_a_folder_of_data_is_the_callers_wherever_the_clone_is(tmp_path: Path, target: str) -> None:
    def asked(data: Path | str) -> str:
        done = subprocess.run(
            ["make", "-n", "-C", ROOT, target, f"DATA={data}"],
            cwd=tmp_path,
            env={**os.environ, "PWD": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    for data in ("my data", tmp_path / "my data"):
        assert f'--data "{tmp_path}/my data"' in asked(data)
    assert "--data" not in asked("")


def test_setup_works_once_and_then_has_nothing_to_do(used_clone: Path) -> None:
    first, second = setup(used_clone, "development"), setup(used_clone, "runtime")
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("Setting up")
    assert (second.returncode, second.stdout) == (0, "")


def test_setup_is_done_anew_when_the_lock_changes(used_clone: Path) -> None:
    assert setup(used_clone).returncode == 0
    for lock in used_clone.glob("requirements*.lock"):
        lock.write_text("# changed\n", encoding="utf-8")
    assert setup(used_clone).stdout.startswith("Setting up")
    assert not setup(used_clone).stdout


def test_a_failed_install_is_not_taken_for_done_and_says_where_to_look(used_clone: Path) -> None:
    lock = f"no-such-package==1 --hash=sha256:{'0' * 64}\n"
    (used_clone / "requirements.lock").write_text(lock, encoding="utf-8")
    for _ in range(2):
        done = setup(used_clone)
        assert done.returncode == 1
        assert "No matching distribution found for no-such-package" in done.stderr
        assert "PIP_INDEX_URL" in done.stderr
        assert "setup.log" in done.stderr


def test_the_systems_python_comes_before_the_one_on_the_path(clone: Path) -> None:
    (clone / ".ci" / "environment.py").write_text("import sys\nprint(sys.executable)\n")
    script(clone.parent / "python3", f'exec "{sys.executable}" "$@"')
    done = setup(clone, PYTHON="", PATH=f"{clone.parent}:{os.environ['PATH']}")
    able = "import ensurepip, sys; sys.exit(sys.version_info < (3, 11))"
    has_one = SYSTEMS.exists() and not subprocess.run([SYSTEMS, "-c", able], check=False).returncode
    assert done.stdout.strip() == (str(SYSTEMS) if has_one else sys.executable)


def test_an_old_python_is_refused_with_the_mend(clone: Path) -> None:
    old = script(
        clone.parent / "old", '[ "$1" = --version ] && { echo Python 3.8.18; exit; }; exit 1'
    )
    done = setup(clone, PYTHON=old)
    assert done.returncode == 1
    assert "needs Python 3.11 or newer" in done.stderr
    assert "Python 3.8.18" in done.stderr
    assert "apt install python3" in done.stderr


def test_a_missing_python_is_refused_with_the_mend(clone: Path) -> None:
    done = setup(clone, PYTHON=str(clone / "no python"))
    assert done.returncode == 1
    assert "make PYTHON=" in done.stderr


def test_a_python_without_ensurepip_is_refused_with_the_mend(clone: Path) -> None:
    # As Debian's without python3-venv.
    body = 'import sys; sys.modules["ensurepip"] = None'
    (clone.parent / "sitecustomize.py").write_text(body, encoding="utf-8")
    done = setup(clone, PYTHONPATH=str(clone.parent))
    assert done.returncode == 1
    assert "-venv" in done.stderr
