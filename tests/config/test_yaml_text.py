"""YAML is read as plain data, quickly, and what is no such document is told as that."""

from datetime import date
from pathlib import Path

import pytest
import yaml

import gateway
from gateway.yaml_text import GivenTwice, NotPlain, read_yaml

SHIPPED = sorted(Path(gateway.__path__[0]).rglob("*.yaml"))


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.parent.name)
def test_what_ships_reads_as_by_the_reader_in_python(file: Path) -> None:
    written = file.read_bytes()
    assert read_yaml(written) == yaml.safe_load(written)


@pytest.mark.parametrize(
    "written",
    [b"[" * 60_000, b"{a: " * 15_000, b"- " * 30_000, b"a: !!python/name:os.system", b"\ta: 1"],
    ids=["lists", "maps", "blocks", "objects", "tabs"],
)
def test_what_is_no_plain_yaml_or_nested_past_all_sense_is_refused(written: bytes) -> None:
    with pytest.raises(yaml.YAMLError):
        read_yaml(written)


@pytest.mark.parametrize(
    "written", ["a: 1\nb: 2\n'a': 3", "x: {a: 1, b: 2, a: 1}", "- {a: 1, a: 2}"]
)
def test_a_key_given_twice_is_refused_by_its_name(written: str) -> None:
    with pytest.raises(GivenTwice, match="a is given twice"):
        read_yaml(written)


def test_a_key_that_is_merged_and_given_once_is_read() -> None:
    assert read_yaml("a: &a {x: 1}\nb: {<<: *a, x: 2}") == {"a": {"x": 1}, "b": {"x": 2}}


def test_numbers_booleans_and_dates_are_read_as_they_are_written() -> None:
    written = "{a: 0, b: -12, c: 0.5, d: true, e: false, f: ~, g: 2027-01-31, h: '012', i: 1e3,"
    written += " j: +8, k: True, l: FALSE}"
    assert read_yaml(written) == {
        "a": 0,
        "b": -12,
        "c": 0.5,
        "d": True,
        "e": False,
        "f": None,
        "g": date(2027, 1, 31),
        "h": "012",
        "i": "1e3",
        "j": 8,
        "k": True,
        "l": False,
    }


@pytest.mark.parametrize(
    ("written", "mend"),
    [
        *(
            (number, "this is read as a number")
            for number in (
                "012",
                "0120000",
                "0x1F",
                "0b11",
                "1_000",
                "1:30",
                "1:30.5",
                "1" * 5_000,
                ".5",
                "5.",
                "01.5",
                "1.5e+3",
                ".inf",
                ".nan",
                "!!int '012'",
                "!!float 3",
            )
        ),
        *(
            (flag, "this is read as true or false")
            for flag in ("yes", "No", "on", "OFF", "!!bool 'yes'")
        ),
        ("2027-02-30", "this is read as a date"),
        ("2027-01-31 10:00:00", "this is read as a date"),
        ("!!binary YQ==", "leave out the tag"),
        ("!!set {x}", "leave out the tag"),
        ("=", "leave out the tag"),
        ("{012: x}", "use plain words as keys"),
        ("{yes: x}", "use plain words as keys"),
        ("{[a]: x}", "use plain words as keys"),
    ],
)
def test_what_yaml_reads_as_another_value_than_it_seems_is_refused(written: str, mend: str) -> None:
    with pytest.raises(NotPlain, match=f"^line 3: {mend}"):
        read_yaml(f"a: 1\nb:\n  - {written}")
