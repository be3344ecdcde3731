"""Style and types are as pyproject.toml says."""

from tests.quality.project import run


def test_ruff_finds_nothing() -> None:
    run("ruff", "check", "--no-cache", ".")


def test_everything_is_formatted() -> None:
    run("ruff", "format", "--no-cache", "--check", ".")


def test_types_are_strict_and_right() -> None:
    run("pyright")
