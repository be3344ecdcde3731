"""YAML is read as plain data, quickly, and what is no such document is told as that."""

from pathlib import Path

import pytest
import yaml

import gateway
from gateway.yaml_text import read_yaml

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
