"""Setup brings the browser, or says how it is brought."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.quality.project import ROOT

LOCATOR = ROOT / ".ci" / "browser.py"
SHELL = "chromium-headless-shell"
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can install packages")


def asked(command: str, folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the locator where the programs are those of ``folder`` alone."""
    return subprocess.run(
        [sys.executable, LOCATOR, command],
        env={"PATH": str(folder), **settings},
        capture_output=True,
        text=True,
        check=False,
    )


def program(folder: Path, name: str, body: str = "exit 0") -> str:
    """Return a program that can be run."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_a_browser_that_is_there_is_found(tmp_path: Path) -> None:
    chrome = program(tmp_path, "google-chrome")
    assert asked("find", tmp_path).stdout == f"{chrome}\n"
    chromium = program(tmp_path, "chromium")
    assert asked("find", tmp_path).stdout == f"{chromium}\n"
    shell = program(tmp_path, SHELL)
    assert asked("find", tmp_path).stdout == f"{shell}\n"
    named = program(tmp_path, "my-chromium")
    assert asked("find", tmp_path, CREDITGATE_CHROMIUM=named).stdout == f"{named}\n"


@pytest.mark.parametrize("command", ["find", "install"])
def test_a_missing_browser_is_an_error_that_names_the_command(tmp_path: Path, command: str) -> None:
    done = asked(command, tmp_path)
    assert done.returncode == 1
    mend = f"apt-get update && apt-get install --yes --no-install-recommends {SHELL}\n"
    assert mend in done.stderr


def package_tool(folder: Path) -> Path:
    """Put a package tool into a folder that installs the browser there; return its place."""
    made = folder / SHELL
    body = f"""[ "$1" = install ] || exit 0
echo '#!/bin/sh' > {made}
/bin/chmod +x {made}"""
    program(folder, "apt-get", body)
    return made


@AS_ROOT
def test_setup_installs_the_browser_from_the_systems_packages(tmp_path: Path) -> None:
    made = package_tool(tmp_path)
    done = asked("install", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(made)


@AS_ROOT
def test_continuous_integration_does_not_put_up_with_a_browser_that_has_windows(
    tmp_path: Path,
) -> None:
    made = package_tool(tmp_path)
    chrome = program(tmp_path, "google-chrome")
    assert asked("install", tmp_path).stdout == f"{chrome}\n"
    assert asked("install", tmp_path, CI="true").stdout.splitlines()[-1] == str(made)


@AS_ROOT
def test_a_browser_with_windows_is_good_enough_where_no_other_can_be_had(tmp_path: Path) -> None:
    chrome = program(tmp_path, "google-chrome")
    program(tmp_path, "apt-get", "exit 100")
    assert asked("install", tmp_path, CI="true").stdout.splitlines()[-1] == str(chrome)


@AS_ROOT
def test_what_the_package_tool_said_is_shown_when_it_fails(tmp_path: Path) -> None:
    program(tmp_path, "apt-get", "echo no network here; exit 100")
    done = asked("install", tmp_path)
    assert done.returncode == 1
    assert "no network here" in done.stderr
    assert "apt-get update && apt-get install" in done.stderr
