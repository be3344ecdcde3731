"""YAML is read as plain data, quickly, and what is no such document is told as that."""

from pathlib import Path

import pytest
import yaml

import gateway
from gateway.yaml_text import GivenTwice, read_yaml

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
