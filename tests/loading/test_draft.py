"""What a mapping makes of a row: the same draft always, or a reason why none."""

import json
from datetime import date
from hashlib import sha256
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from creditgate.v1.disclosure_service_pb2 import RecordDraft
from creditgate.v1.vocabulary_pb2 import Severity
from sdk.loading.draft import DraftMaker
from sdk.loading.fault import RowFault, RowRefused
from sdk.loading.mapping import ColumnMapping
from tests.loading.files import company

# What the loader leaves out, or writes otherwise.
_BREAKS = ["\r\n", "\r", "\v", "\f", "\x85", "\u2028", "\u2029"]
_UNSEEN = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
_LEFT_OVER = "".join(_BREAKS) + _UNSEEN
_TEXT = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters=_LEFT_OVER), max_size=30
)
_INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)
_NOON = 1_721_649_600
"""2024-07-22T12:00:00Z."""


def mapping(**changes: Any) -> ColumnMapping:
    """Return a mapping of all kinds of fields, with changes."""
    return ColumnMapping.model_validate(
        {
            "item": "penalty.administrative",
            "record_id": {"template": "p-{id}"},
            "subject": {"column": "code"},
            "source": {"fixed": "Invented Bureau"},
            "region": {"fixed": "000000"},
            "disclosed_from": {"column": "from", "formats": ["date", "instant"]},
            "content": {
                "text": {"column": "text"},
                "count": {"column": "count", "type": "integer"},
                "kept": {"column": "kept", "type": "boolean"},
                "on": {"column": "on", "type": "date"},
            },
        }
        | changes
    )


def draft(made_by: ColumnMapping, **cells: str) -> RecordDraft:
    """Return the draft of a row; cells not named are empty, but for those all drafts need."""
    row = {"id": "1", "code": company(1), "from": "2024-07-22"} | cells
    return DraftMaker(made_by).draft([row.get(column, "") for column in made_by.used()])


def refused(made_by: ColumnMapping, **cells: str) -> tuple[str, str, str]:
    """Return (reason, field, column) of a row that makes no draft."""
    with pytest.raises(RowRefused) as error:
        draft(made_by, **cells)
    return error.value.fault.name, error.value.field, error.value.column


@given(_TEXT, _INTEGERS, st.booleans(), st.dates(date(1000, 1, 1)))
def test_content_is_canonical_json_to_rfc_8785(
    text: str, count: int, kept: bool, day: date
) -> None:
    made = draft(mapping(), text=text, count=str(count), kept=str(kept), on=day.isoformat())
    values: dict[str, str | int | bool] = {"count": count, "kept": kept, "on": day.isoformat()}
    if text.strip():
        values["text"] = text.strip()
    assert made.content == rfc8785.dumps(values)


@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True), _TEXT, min_size=1))
def test_fields_stand_in_canonical_order(values: dict[str, str]) -> None:
    fields = {name: {"column": f"in {name}"} for name in values}
    cells = {f"in {name}": text for name, text in values.items()}
    kept = {name: text.strip() for name, text in values.items() if text.strip()}
    assert draft(mapping(content=fields), **cells).content == rfc8785.dumps(kept)


def test_control_characters_inside_a_value_are_escaped_as_the_rfc_says() -> None:
    controls = [code for code in range(0x20) if chr(code) not in _LEFT_OVER]
    text = "x" + "".join(map(chr, [*controls, 0x22, 0x5C, 0x7F, 0x1F600])) + "x"
    assert draft(mapping(), text=text).content == rfc8785.dumps({"text": text})


@pytest.mark.parametrize("one_line", [False, True])
def test_line_breaks_of_other_systems_and_what_nobody_sees_reject_no_row(one_line: bool) -> None:
    made_by = mapping(columns={"text": {"one_line": one_line}})
    lines = "late\nfiling\nof 2024"
    expected = rfc8785.dumps({"text": lines.replace("\n", " ") if one_line else lines})
    for line_break in _BREAKS:
        typed = line_break.join(["\ufefflate", "fil\u00ading", "\u200eof\u200f 2024", ""])
        assert draft(made_by, text=typed).content == expected
    for unseen in _UNSEEN:
        typed = f"{unseen}late\nfil{unseen}ing\n{unseen}of 20{unseen}24{unseen}"
        assert draft(made_by, text=typed).content == expected


def test_what_turns_the_direction_of_writing_is_left_for_the_gateway_to_reject() -> None:
    text = "late \u202egnilif\u202c"
    assert draft(mapping(), text=text).content == rfc8785.dumps({"text": text})


def test_a_draft_carries_every_field() -> None:
    made = draft(
        mapping(
            severity={"column": "grade"},
            source={"column": "bureau"},
            region={"column": "place"},
            disclosed_until={"column": "until"},
        ),
        grade="serious",
        bureau=" Invented Bureau ",
        place="000000",
        until="2025-07-22",
        text="late filing",
    )
    expected = RecordDraft(
        record_id="p-1",
        subject=company(1),
        item="penalty.administrative",
        source="Invented Bureau",
        region="000000",
        severity=Severity.SEVERITY_SERIOUS,
        content=b'{"text":"late filing"}',
    )
    expected.disclosed_from.seconds = _NOON - 20 * 3_600
    expected.disclosed_until.seconds = _NOON - 20 * 3_600 + 365 * 86_400
    assert made == expected


def test_an_end_told_by_its_last_day_is_the_midnight_after_it() -> None:
    until = {"column": "until", "formats": ["date", "instant"], "last_day": True}
    made_by = mapping(disclosed_until=until)
    assert draft(made_by, until="2024-07-22").disclosed_until.seconds == _NOON + 4 * 3_600
    at = draft(made_by, until="2024-07-22T12:00:00Z").disclosed_until.seconds
    assert at == _NOON


def test_a_row_has_no_end_only_where_the_mapping_lets_it() -> None:
    until = {"column": "until", "formats": ["date"]}
    assert refused(mapping(disclosed_until=until)) == ("END_MISSING", "disclosed_until", "until")
    made = draft(mapping(disclosed_until=until | {"optional": True}))
    assert not made.HasField("disclosed_until")


def test_the_region_may_be_the_division_in_the_code() -> None:
    made_by = mapping(region={"of_subject": True})
    assert draft(made_by, code="91110101XXXXXXXXXX").region == "110101"


CLEANING: dict[str, Any] = {
    "columns": {
        "text": {
            "one_line": True,
            "absent": ["N/A", "none"],
            "spellings": {"China": ["PR China", "Peoples Republic of China"]},
        }
    }
}


@pytest.mark.parametrize(
    ("cell", "content"),
    [
        (" PR  China\n", b'{"text":"China"}'),
        ("Peoples Republic of China", b'{"text":"China"}'),
        ("China", b'{"text":"China"}'),
        ("Peru", b'{"text":"Peru"}'),
        ("N/A", b"{}"),
        ("none", b"{}"),
        ("N/A and more", b'{"text":"N/A and more"}'),
    ],
)
def test_values_are_cleaned_before_anything_is_made_of_them(cell: str, content: bytes) -> None:
    assert draft(mapping(**CLEANING), text=cell).content == content


def test_another_spelling_of_the_same_thing_makes_the_same_record() -> None:
    made_by = mapping(
        **CLEANING,
        record_id={"prefix": "d", "hash_of": ["text"]},
        subject={"derived_from": ["text"]},
    )
    assert draft(made_by, text="PR China") == draft(made_by, text="China ")
    assert draft(made_by, text="Peru").record_id != draft(made_by, text="China").record_id


@given(st.lists(_TEXT, min_size=2, max_size=2), st.lists(_TEXT, min_size=2, max_size=2))
def test_ids_are_alike_exactly_when_the_columns_they_are_made_of_are(
    first: list[str], second: list[str]
) -> None:
    made_by = mapping(record_id={"prefix": "d", "hash_of": ["a", "b"]})
    ids = [draft(made_by, a=a, b=b).record_id for a, b in (first, second)]
    same = [cell.strip() for cell in first] == [cell.strip() for cell in second]
    assert (ids[0] == ids[1]) == same


def test_an_id_by_hash_is_the_same_for_ever() -> None:
    made_by = mapping(record_id={"prefix": "d", "hash_of": ["a", "b"]})
    assert draft(made_by, a="x", b="yz").record_id == "d-" + sha256(b"1:x2:yz").hexdigest()


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"from": ""}, ("START_MISSING", "disclosed_from", "from")),
        ({"from": "soon"}, ("START_NOT_A_DATE", "disclosed_from", "from")),
        ({"code": " "}, ("SUBJECT_MISSING", "subject", "code")),
        ({"id": ""}, ("VALUE_MISSING", "record_id", "id")),
        ({"id": "编号"}, ("RECORD_ID_INVALID", "record_id", "id")),
        ({"id": "1" * 127}, ("RECORD_ID_INVALID", "record_id", "id")),
        ({"count": "1.0"}, ("FIELD_NOT_AN_INTEGER", "content.count", "count")),
        ({"count": "9007199254740992"}, ("FIELD_NOT_AN_INTEGER", "content.count", "count")),
        ({"count": "９"}, ("FIELD_NOT_AN_INTEGER", "content.count", "count")),
        ({"kept": "yes"}, ("FIELD_NOT_A_BOOLEAN", "content.kept", "kept")),
        ({"on": "22.7.2024"}, ("FIELD_NOT_A_DATE", "content.on", "on")),
        ({"text": "bad \udcff byte"}, ("NOT_UTF8", "content.text", "text")),
        ({"code": "\udcff"}, ("NOT_UTF8", "subject", "code")),
    ],
)
def test_a_row_that_makes_no_draft_is_refused_with_reason_field_and_column(
    cells: dict[str, str], reason: tuple[str, str, str]
) -> None:
    assert refused(mapping(), **cells) == reason


def test_a_required_field_without_value_refuses_the_row() -> None:
    made_by = mapping(content={"text": {"column": "text", "required": True}})
    assert refused(made_by) == ("FIELD_MISSING", "content.text", "text")


def test_a_value_outside_a_closed_list_refuses_the_row() -> None:
    made_by = mapping(
        columns={"bureau": {"spellings": {"Invented Bureau": ["IB"]}, "closed": True}},
        source={"column": "bureau"},
        severity={"column": "grade"},
    )
    assert draft(made_by, bureau="IB", grade="minor").source == "Invented Bureau"
    assert refused(made_by, bureau="Another", grade="minor") == (
        "VALUE_NOT_LISTED", "source", "bureau",
    )  # fmt: skip
    assert refused(made_by, bureau="IB", grade="grave") == ("VALUE_NOT_LISTED", "severity", "grade")
    assert refused(made_by, bureau="IB") == ("VALUE_MISSING", "severity", "grade")
    assert refused(made_by, grade="minor") == ("VALUE_MISSING", "source", "bureau")


def test_a_code_without_division_refuses_the_row_as_the_gateway_would() -> None:
    made_by = mapping(region={"of_subject": True})
    assert refused(made_by, code="9111") == ("USCC_LENGTH", "subject", "code")
    assert refused(made_by, code="91１10101XXXXXXXXXX") == ("USCC_ALPHABET", "subject", "code")


def test_a_subject_cannot_be_derived_from_nothing() -> None:
    made_by = mapping(subject={"derived_from": ["text", "place"]})
    assert refused(made_by, place="China") == ("SUBJECT_MISSING", "subject", "text")
    assert draft(made_by, text="Invented").subject.startswith("Y1000000")


def test_mends_never_repeat_a_value_and_reasons_are_told_apart() -> None:
    assert len({fault.value for fault in RowFault}) == len(RowFault)
    assert json.dumps([fault.value for fault in RowFault]).isascii()
