"""Commands on the gateway's own host where there is no installation: told, and nothing made."""

from pathlib import Path
from typing import Final

import pytest

from tests.cli.commands import creditgate_here
from tests.cli.test_local import COMMANDS

_SETTING_UP: Final = {("init",), ("serve",), ("restore",)}
# They call a gateway, or read a file, and say what is missing of that.
_OTHERS: Final = {
    ("health",),
    ("client", "register"),
    ("client", "rotate"),
    ("analytics", "sql"),
    ("conformance", "policy"),
}
_WORDS: Final[dict[tuple[str, ...], tuple[str, ...]]] = {
    ("backup",): ("copy",),
    ("key", "rotate"): ("--reason", "due"),
    ("key", "retire"): ("kid", "--reason", "due"),
    ("log", "resume"): ("--checkpoint", __file__),
    ("settlement", "check"): ("2026-04",),
}
_ON_THE_HOST: Final = [
    path
    for path, command in COMMANDS
    if any("--config" in parameter.opts for parameter in command.params)
    and path not in _SETTING_UP | _OTHERS
]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where there is no installation."""
    return tmp_path / "mistyped"


@pytest.mark.parametrize("is_folder", [False, True], ids=["nothing", "a folder"])
@pytest.mark.parametrize("path", _ON_THE_HOST, ids=" ".join)
def test_a_command_makes_no_stores_where_there_are_none(
    home: Path, path: tuple[str, ...], *, is_folder: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home.parent)
    if is_folder:
        home.mkdir()
    done = creditgate_here(home, *path, *_WORDS.get(path, ()))
    assert (done.status, done.out) == (1, "")
    (line,) = done.told.splitlines()
    assert line.startswith(f"There is no home of an installation at {home}: CREDITGATE_HOME")
    assert "--config" in line
    assert "`creditgate init` sets one up" in line
    assert [*home.parent.rglob("*")] == ([home] if is_folder else [])


@pytest.mark.parametrize("is_folder", [False, True], ids=["nothing", "a folder"])
@pytest.mark.parametrize(
    "words",
    [
        ("key", "rotate", "--reason", "due"),
        ("log", "announce"),
        ("backup", "copy", "--keys-for", __file__),
    ],
)
def test_keys_of_an_installation_on_postgresql_are_made_and_copied_in_no_other_home(
    home: Path, words: tuple[str, ...], *, is_folder: bool
) -> None:
    if is_folder:
        home.mkdir()
    done = creditgate_here(home, *words, DATABASE="postgresql://nowhere.invalid/creditgate")
    assert done.status == 1
    assert done.told.startswith(f"There is no home of an installation at {home}")
    assert [*home.parent.rglob("*")] == ([home] if is_folder else [])


def test_a_store_that_is_missing_beside_others_is_not_made_anew(home: Path) -> None:
    assert creditgate_here(home, "init").status == 0
    for part in ("", "-wal", "-shm"):
        (home / f"disclosure.db{part}").unlink(missing_ok=True)
    done = creditgate_here(home, "log", "check")
    assert done.status == 1
    assert done.told == f"disclosure.db missing in {home}: restore the stores from a copy.\n"
    assert not (home / "disclosure.db").exists()
