"""A mapping is read whole or refused with the line of every fault."""

from pathlib import Path

import pytest

from sdk.loading.mapping import ColumnMapping
from sdk.loading.mapping_file import MappingRefused, read_mapping, shipped_mappings

GOOD = """\
item: penalty.administrative
columns:
  grade: {spellings: {general: [一般]}, closed: true}
record_id: {template: "penalty-{number}"}
subject: {column: code}
source: {column: bureau}
region: {fixed: "000000"}
severity: {column: grade}
disclosed_from: {column: from, formats: [date, instant]}
disclosed_until: {column: until, last_day: true}
content:
  decision_number: {column: number, required: true}
  fine_fen: {column: fine, type: integer}
  decided_on: {column: decided, type: date, formats: ["%d.%m.%Y"]}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a mapping is written."""
    return tmp_path / "mapping.yaml"


def read(file: Path, text: str) -> ColumnMapping:
    """Read a mapping of this text."""
    file.write_text(text, encoding="utf-8")
    return read_mapping(file)


def test_a_mapping_names_the_columns_it_needs_once_each(file: Path) -> None:
    assert read(file, GOOD).used() == (
        "code", "bureau", "grade", "from", "until", "number", "fine", "decided",
    )  # fmt: skip


def test_values_that_yaml_would_take_for_something_else_stay_text(file: Path) -> None:
    mapping = read(file, GOOD.replace("general: [一般]", "general: [no, 007, 2024-01-01]"))
    assert mapping.columns["grade"].spellings == {"general": ("no", "007", "2024-01-01")}
    assert mapping.region.fixed == "000000"


@pytest.mark.parametrize(
    ("old", "new", "line", "told"),
    [
        ("item: penalty", "item: Penalty", 1, "item"),
        ("source: {column: bureau}", "source: {}", 6, "give either fixed or column"),
        ('"000000"', "0000", 7, "region.fixed"),
        ("{column: grade}", "{fixed: grave}", 8, "fix one of minor, general, serious"),
        ("formats: [date, instant]", "formats: [date, soon]", 9, "disclosed_from.formats.1"),
        ("last_day: true", "lastday: true", 10, "disclosed_until.lastday"),
        ("type: integer", "type: number", 13, "content.fine_fen.type"),
        ("type: date, formats", "formats", 14, "formats are for type date"),
        ("{column: number, required: true}", "{required: true}", 12, "decision_number.column"),
        ("penalty-{number}", "penalty", 4, "put at least one column in braces"),
        ("penalty-{number}", "penalty-{number:>9}", 4, "nothing but its name"),
        ("penalty-{number}", "penalty-{number}{}", 4, "nothing but its name"),
        ("penalty-{number}", "penalty-{number", 4, "record_id.template"),
        ("  fine_fen:", "  fine-fen:", 13, "content"),
        ("  grade: {", "  grad: {", 1, "columns cleans what nothing uses: grad"),
        ("[一般]", "[一般, 一般]", 3, "list each spelling once"),
        ("[一般]}", "[general]}", 3, "list each spelling once"),
        ("spellings: {general: [一般]}, closed", "closed", 3, "closed needs spellings"),
        ("region:", "source:", 7, "use plain keys, each once"),
        ("subject: {column: code}", "subject: *code", 5, "no aliases"),
        ("subject: {column: code}", "subject: {column: code", 6, "no YAML"),
    ],
)
def test_a_fault_is_told_with_its_line(
    file: Path, old: str, new: str, line: int, told: str
) -> None:
    assert old in GOOD
    with pytest.raises(MappingRefused) as refused:
        read(file, GOOD.replace(old, new))
    assert f"{file}:{line}:" in str(refused.value)
    assert told in str(refused.value)


def test_every_fault_is_told_at_once(file: Path) -> None:
    with pytest.raises(MappingRefused) as refused:
        read(file, GOOD.replace('"000000"', "0").replace("type: integer", "type: number"))
    assert len(str(refused.value).splitlines()) == 2


@pytest.mark.parametrize(
    "text",
    ["", "- item", "a: &a [*a]", "item: \xff\x00", "[" * 1_000 + "]" * 1_000],
    ids=lambda text: text[:9],
)
def test_what_is_no_mapping_is_refused(file: Path, text: str) -> None:
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(MappingRefused, match=str(file)):
        read_mapping(file)


def test_a_file_far_too_large_is_refused(file: Path) -> None:
    with pytest.raises(MappingRefused, match="larger than 1 MiB"):
        read(file, "#" * (1 << 20) + "\n")


def test_the_shipped_mappings_fill_the_agreed_fields() -> None:
    shipped = shipped_mappings()
    assert {name: mapping.item for name, mapping in shipped.items()} == {
        "debarment": "debarment.international",
        "enterprise_registration": "registration.enterprise",
    }
    assert set(shipped["debarment"].content) == {
        "firm_name", "nationality", "practice", "notice_effective",
    }  # fmt: skip
