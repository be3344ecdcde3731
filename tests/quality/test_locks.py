"""Locks pin everything by hash and name no registry."""

import itertools
import json
import re
import tomllib
from pathlib import Path

import pytest

from tests.quality.project import ROOT

PYTHON_LOCKS = ("requirements.lock", "requirements-dev.lock")
NODE_LOCK = ROOT / "tests" / "node" / "package-lock.json"
REQUIREMENT = re.compile(r"(?P<name>[a-z0-9][a-z0-9.-]*)==(?P<version>[^\s;]+)( ; [^\\]+)? \\")
NAME_ENDS = re.compile(r"[^a-z0-9-]")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")
ORIGIN = re.compile(r"    #( .*)?")


def pins(lock: str) -> dict[str, set[str]]:
    """Return the versions pinned by name."""
    found: dict[str, set[str]] = {}
    for match in REQUIREMENT.finditer((ROOT / lock).read_text(encoding="utf-8")):
        found.setdefault(match["name"], set()).add(match["version"])
    return found


@pytest.mark.parametrize("lock", PYTHON_LOCKS)
def test_every_line_of_a_lock_is_a_pin_a_hash_or_an_origin(lock: str) -> None:
    lines = (ROOT / lock).read_text(encoding="utf-8").splitlines()
    odd = [
        line for line in lines if not any(p.fullmatch(line) for p in (REQUIREMENT, HASH, ORIGIN))
    ]
    assert not odd


@pytest.mark.parametrize("lock", PYTHON_LOCKS)
def test_every_pin_is_followed_by_a_hash(lock: str) -> None:
    lines = (ROOT / lock).read_text(encoding="utf-8").splitlines()
    following = [after for line, after in itertools.pairwise(lines) if REQUIREMENT.match(line)]
    assert following
    assert all(HASH.fullmatch(line) for line in following)


@pytest.mark.parametrize("lock", [*PYTHON_LOCKS, "tests/node/package-lock.json"])
def test_a_lock_names_no_registry(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert not re.search(
        r"https?://(?!(www\.)?(github\.com|opencollective\.com|patreon\.com))", text
    )
    assert "index-url" not in text
    assert "find-links" not in text


def test_the_development_lock_holds_the_runtime_lock() -> None:
    runtime, development = (pins(lock) for lock in PYTHON_LOCKS)
    assert runtime.items() <= development.items()


def test_locks_cover_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [asked for extra in project["optional-dependencies"].values() for asked in extra]
    asked = {NAME_ENDS.split(asked)[0] for asked in (*project["dependencies"], *extras)}
    # One extra is in another.
    asked.remove(project["name"])
    assert asked > {"grpcio", "authlib", "setuptools"}
    assert asked <= pins("requirements-dev.lock").keys()


def test_node_packages_are_locked_by_hash_and_without_address() -> None:
    packages = json.loads(Path(NODE_LOCK).read_text(encoding="utf-8"))["packages"]
    fetched = {name: package for name, package in packages.items() if name}
    assert fetched
    assert all(package["integrity"].startswith("sha512-") for package in fetched.values())
    assert not [name for name, package in fetched.items() if "resolved" in package]
