"""A catalogue file is taken whole or refused with every fault and its line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creditgate.v1.vocabulary_pb2 import Openness, Severity, SubjectType
from gateway.catalogue.file import (
    MOST_BYTES,
    NATIONAL,
    CatalogueFileRefused,
    parse_catalogue,
    read_catalogue,
)
from gateway.catalogue.message import item_message, item_of

GOOD = """\
items:
  - code: penalty.test
    name_zh: 处罚
    name_en: Penalty
    sources: [某局]
    subject_types:
      - ENTERPRISE
    openness: PUBLIC
    price_class: adverse
    period_rules:
      - {severity: MINOR, max_months: 3, end_required: true, legal_source: rule}
    content_fields:
      - {name: name, type: STRING, max_length: 10, required: true}
"""


def told(text: str) -> list[str]:
    """Return what a refused file is told."""
    with pytest.raises(CatalogueFileRefused) as refusal:
        parse_catalogue(text)
    return [str(fault) for fault in refusal.value.faults]


def lines_of(text: str) -> list[tuple[int, str]]:
    """Return line and place of each fault."""
    with pytest.raises(CatalogueFileRefused) as refusal:
        parse_catalogue(text)
    return [(fault.line, fault.place) for fault in refusal.value.faults]


def test_good_file_gives_its_items_in_order() -> None:
    second = GOOD.replace("penalty.test", "a.second").removeprefix("items:\n")
    first_item, second_item = parse_catalogue(GOOD + second)
    assert (first_item.code, second_item.code) == ("penalty.test", "a.second")
    assert first_item.openness == Openness.OPENNESS_PUBLIC
    assert first_item.subject_types == (SubjectType.SUBJECT_TYPE_ENTERPRISE,)
    assert first_item.period_rules[0].severity == Severity.SEVERITY_MINOR


@pytest.mark.parametrize(
    ("old", "new", "line", "place"),
    [
        ("items:", "item:", 1, "item"),
        ("penalty.test", "Penalty", 2, "items[0].code"),
        ("    name_zh: 处罚\n", "", 2, "items[0].name_zh"),
        ("name_zh: 处罚", "name_zh: 2026-01-01", 3, "items[0].name_zh"),
        ("name_zh: 处罚", "name_zh: 2026-13-01", 3, "items[0].name_zh"),
        ("name_en: Penalty", "name_en: Penalty\n    name_en: Fine", 4, "items[0].name_en"),
        ("sources: [某局]", "sources: []", 5, "items[0].sources"),
        ("sources: [某局]", "sources: 某局", 5, "items[0].sources"),
        ("- ENTERPRISE", "- PERSON", 7, "items[0].subject_types[0]"),
        ("- ENTERPRISE", "- 1", 7, "items[0].subject_types[0]"),
        ("- ENTERPRISE", "- ENTERPRISE\n      - ENTERPRISE", 2, "items[0]"),
        ("openness: PUBLIC", "openness: OPEN", 8, "items[0].openness"),
        ("openness: PUBLIC", "openness: [PUBLIC]", 8, "items[0].openness"),
        ("price_class: adverse", "price_class: '!'", 9, "items[0].price_class"),
        ("price_class: adverse", "price_class: adverse\n    price: 3", 10, "items[0].price"),
        ("price_class: adverse", "price_class: a\n    version: 3", 10, "items[0].version"),
        ("severity: MINOR", "severity: LIGHT", 11, "items[0].period_rules[0].severity"),
        ("max_months: 3", "max_months: -3", 11, "items[0].period_rules[0].max_months"),
        ("max_months: 3", "max_months: three", 11, "items[0].period_rules[0].max_months"),
        ("end_required: true, ", "", 11, "items[0].period_rules[0]"),
        ("type: STRING", "type: TEXT", 13, "items[0].content_fields[0].type"),
        ("max_length: 10, ", "", 13, "items[0].content_fields[0]"),
        ("required: true}\n", "required: perhaps}", 13, "items[0].content_fields[0].required"),
        ("name_zh: 处罚", "name_zh: &same 处罚\n    price_class: *same", 4, ""),
        ("[某局]", "[某局", 6, ""),
        ("[某局]", "!!python/name:os.system x", 5, "items[0].sources"),
        ("[某局]", "\x07", 5, ""),
    ],
)
def test_fault_is_told_with_its_line(old: str, new: str, line: int, place: str) -> None:
    assert old in GOOD
    found = lines_of(GOOD.replace(old, new, 1))
    assert (line, place) in found


@pytest.mark.parametrize(
    ("old", "new", "mend"),
    [
        (
            "max_months: 3",
            "max_months: yes",
            "period_rules[0].max_months: this is read as true or false",
        ),
        ("max_months: 3", "max_months: true", "period_rules[0].max_months: use a whole number"),
        (
            "max_months: 3",
            "max_months: 012",
            "period_rules[0].max_months: this is read as a number",
        ),
        (
            "max_months: 3",
            "max_months: 1_2",
            "period_rules[0].max_months: this is read as a number",
        ),
        ("max_months: 3", "max_months: '12'", "period_rules[0].max_months: use a whole number"),
        ("max_months: 3", "max_months: 3.0", "period_rules[0].max_months: use a whole number"),
        ("end_required: true", "end_required: 1", "period_rules[0].end_required: use true or"),
        ("end_required: true", "end_required: 'yes'", "period_rules[0].end_required: use true or"),
        ("max_length: 10", "max_length: true", "content_fields[0].max_length: use a whole number"),
        ("required: true}\n", "required: 0}\n", "content_fields[0].required: use true or false"),
        (
            "required: true}\n",
            "required: on}\n",
            "content_fields[0].required: this is read as true or",
        ),
        ("[某局]", "!!set {某局}", "sources: leave out the tag"),
    ],
)
def test_what_seems_another_number_or_boolean_is_refused(old: str, new: str, mend: str) -> None:
    first = GOOD.index(old) if old != "required: true}\n" else GOOD.rindex(old)
    line = GOOD.count("\n", 0, first) + 1
    (fault,) = told(GOOD[:first] + new + GOOD[first + len(old) :])
    assert fault.startswith(f"line {line}: items[0].{mend}")


def test_every_fault_is_told_at_once_in_order_of_line() -> None:
    text = GOOD.replace("PUBLIC", "OPEN").replace("STRING", "TEXT").replace("penalty.test", "X")
    assert lines_of(text) == [
        (2, "items[0].code"),
        (8, "items[0].openness"),
        (13, "items[0].content_fields[0].type"),
    ]


def test_mend_names_the_choices() -> None:
    assert told(GOOD.replace("PUBLIC", "OPEN")) == [
        "line 8: items[0].openness: use one of PUBLIC, CONSENT, RESTRICTED"
    ]


def test_code_given_twice_is_refused_at_the_second() -> None:
    assert told(GOOD + GOOD.removeprefix("items:\n")) == [
        "line 14: items[1].code: give each item its own code: this one stands on line 2"
    ]


@pytest.mark.parametrize("text", ["", "[]", "items: {}", "3", "items: " + "[" * 3_000])
def test_file_of_another_shape_is_refused(text: str) -> None:
    assert lines_of(text)


@given(st.text(st.sampled_from("items:\n -[]{},'\"ab#&*!|>%@\t"), max_size=60))
def test_any_text_is_taken_or_refused(text: str) -> None:
    try:
        parse_catalogue(text)
    except CatalogueFileRefused as refusal:
        assert all(1 <= fault.line <= text.count("\n") + 1 for fault in refusal.faults)


def test_file_that_is_no_utf8_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.yaml"
    path.write_bytes(b"items:\n  - code: \xb4\xa6\n")
    with pytest.raises(CatalogueFileRefused, match="line 2: save the file as UTF-8"):
        read_catalogue(path)


def test_file_too_large_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.yaml"
    path.write_bytes(b"#" * (MOST_BYTES + 1))
    with pytest.raises(CatalogueFileRefused, match=str(MOST_BYTES)):
        read_catalogue(path)


def test_shipped_catalogue_keeps_the_periods_of_the_law() -> None:
    items = {item.code: item for item in read_catalogue(NATIONAL)}
    bounds = {
        rule.severity: (rule.min_months, rule.max_months, rule.end_required)
        for rule in items["penalty.administrative"].period_rules
    }
    assert bounds == {
        Severity.SEVERITY_MINOR: (0, 3, True),
        Severity.SEVERITY_GENERAL: (3, 12, True),
        Severity.SEVERITY_SERIOUS: (12, 36, True),
    }
    (listed,) = items["list.serious-dishonesty"].period_rules
    assert (listed.severity, listed.min_months, listed.max_months) == (3, 12, 36)


def test_shipped_catalogue_has_items_of_every_openness() -> None:
    items = read_catalogue(NATIONAL)
    assert {item.openness for item in items} == {1, 2, 3}
    assert {item.price_class for item in items} == {"basic", "adverse", "evaluated"}


def test_shipped_catalogue_takes_the_real_lists() -> None:
    items = {item.code: item for item in read_catalogue(NATIONAL)}
    assert set(items["debarment.international"].sources) == {
        "World Bank Group",
        "Asian Development Bank",
        "EBRD",
        "Inter-American Development Bank Group",
        "African Development Bank",
    }
    fields = {field.name for field in items["registration.enterprise"].content_fields}
    assert fields == {
        "name",
        "enterprise_type",
        "registered_capital",
        "province",
        "city",
        "business_scope",
        "registered_on",
    }


def test_items_survive_the_way_to_messages_and_back() -> None:
    for item in read_catalogue(NATIONAL):
        assert item_of(item_message(item)) == item


@pytest.mark.parametrize(
    ("written", "titles"),
    [
        ("required: true}", "title_zh: 名称, required: true}"),
        ("required: true}", "title_en: name, required: true}"),
        ("required: true}", 'title_zh: "", title_en: name, required: true}'),
    ],
)
def test_a_title_is_given_in_both_languages(written: str, titles: str) -> None:
    text = GOOD.replace(written, titles)
    assert told(text) == [
        "line 13: items[0].content_fields[0]: give title_zh and title_en, or neither"
    ]


def test_what_subjects_consent_to_has_titles_for_them_to_read() -> None:
    closed = GOOD.replace("PUBLIC", "CONSENT")
    more = closed + "      - {name: more, type: INTEGER}\n"
    assert lines_of(more) == [
        (13, "items[0].content_fields[0]"),
        (14, "items[0].content_fields[1]"),
    ]
    assert "add title_zh and title_en" in told(closed)[0]
    titled = closed.replace("required: true}", "required: true, title_zh: 名称, title_en: name}")
    (item,) = parse_catalogue(titled)
    (field,) = item.content_fields
    assert (field.title_zh, field.title_en) == ("名称", "name")
    assert item_of(item_message(item)) == item
    twice = titled + "      - {name: more, type: INTEGER, title_zh: 其他, title_en: name}\n"
    assert lines_of(twice) == [(14, "items[0].content_fields[1].title_en")]


@pytest.mark.parametrize(
    "title",
    [
        *("\u3164", "\u2800", "。", "cut\u3164off", "a" + "\u0301" * 30),
        # As another field's to who reads.
        *("name ", "na me", "name\ufe00", "NAME", "ｎａｍｅ", "name."),
    ],
)
def test_titles_are_words_that_subjects_tell_from_each_other(title: str) -> None:
    closed = GOOD.replace("PUBLIC", "CONSENT")
    titled = closed.replace("required: true}", "required: true, title_zh: 名称, title_en: name}")
    field = f'{{name: more, type: INTEGER, title_zh: 其他, title_en: "{title}"}}'
    text = f"{titled}      - {field}\n"
    assert lines_of(text) == [(14, "items[0].content_fields[1].title_en")]
    (item,) = parse_catalogue(text.replace(title, "cut-off (分)"))
    assert item.content_fields[1].title_en == "cut-off (分)"


def test_fields_may_be_marked_as_the_result_itself() -> None:
    marked = GOOD.replace("required: true}\n", "required: true, result: true}\n")
    (item,) = parse_catalogue(marked)
    assert [field.result for field in item.content_fields] == [True]
    assert item_message(item).content_fields[0].result
    assert item_of(item_message(item)) == item
    assert not parse_catalogue(GOOD)[0].content_fields[0].result


def test_shipped_catalogue_gives_an_evaluation_as_grade_and_day_alone() -> None:
    marked = {
        item.code: {field.name for field in item.content_fields if field.result}
        for item in read_catalogue(NATIONAL)
    }
    assert {code: fields for code, fields in marked.items() if fields} == {
        "evaluation.public-credit": {"grade", "evaluated_on"}
    }
