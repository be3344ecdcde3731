"""Style and types are as pyproject.toml says."""

import tomllib

import pytest

from tests.quality.project import ROOT, run


def test_ruff_finds_nothing() -> None:
    run("ruff", "check", "--no-cache", ".")


def test_everything_is_formatted() -> None:
    run("ruff", "format", "--no-cache", "--check", ".")


def test_types_of_the_product_are_strict_and_right() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    parts = project["tool"]["pyright"]["include"]
    run("pyright", *(part for part in parts if part != "tests"))


@pytest.mark.soak
def test_types_of_all_are_strict_and_right() -> None:
    """Those of the tests as well: each run of them shows most of what is wrong there."""
    run("pyright")
