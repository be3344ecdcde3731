"""A quote left open swallows no row of CSV, and the text of a value becomes none."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdk.loading.csv_extent import RowExtent, values_of
from sdk.loading.rows import MOST_LINE
from tests.examples import examples
from tests.loading.test_readers import read, written

COLUMNS = ("id", "code", "text", "basis", "kind")
HEADER = ",".join(COLUMNS)
GOOD = ["c", "late", "a", "fine"]


def rows(*numbers: int) -> str:
    """Return rows of five values, one a line."""
    return "".join(f"{number},{','.join(GOOD)}\n" for number in numbers)


def test_rows_between_a_quote_and_one_in_another_column_are_read(tmp_path: Path) -> None:
    broken = f'2,c,"open,a,fine\n{rows(3, 4)}5,c,late,a,fine"\n'
    found = read(written(tmp_path / "x.csv", f"{HEADER}\n{rows(1)}{broken}{rows(6)}"), COLUMNS)
    assert found == [
        (2, ["1", *GOOD]),
        (3, "FIELD_COUNT"),
        (4, ["3", *GOOD]),
        (5, ["4", *GOOD]),
        (6, ["5", *GOOD[:-1], 'fine"']),
        (7, ["6", *GOOD]),
    ]


@pytest.mark.parametrize("between", [0, 2, 60_000])
@pytest.mark.parametrize("opening", ['"open', '"open, with a comma'])
def test_rows_that_a_quote_makes_one_value_are_each_told(
    tmp_path: Path, between: int, opening: str
) -> None:
    # Beyond MOST_LINE too, where the text cannot be held.
    inside = rows(*range(between))
    swallowed = f'2,c,{opening},a,fine\n{inside}9,c,late",a,fine\n'
    assert (len(inside) > MOST_LINE) is (between == 60_000)
    found = read(written(tmp_path / "x.csv", f"{HEADER}\n{rows(1)}{swallowed}{rows(6)}"), COLUMNS)
    assert found[0] == (2, ["1", *GOOD])
    assert found[1:-1] == [(3 + at, "QUOTE_OVER_ROWS") for at in range(between + 2)]
    assert found[-1] == (5 + between, ["6", *GOOD])


def test_a_text_with_a_line_that_looks_like_a_row_is_one_value(tmp_path: Path) -> None:
    text = "a table:\n3,c,late,a,fine\nof one row"
    found = read(written(tmp_path / "x.csv", f'{HEADER}\n2,c,"{text}",a,fine\n'), COLUMNS)
    assert found == [(2, ["2", "c", text, "a", "fine"])]


def test_few_columns_do_not_make_rows_of_the_lines_of_a_text(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", 'a,b\n1,"late\nagain, and again"\n')
    assert read(path) == [(2, ["1", "late\nagain, and again"])]


@pytest.mark.parametrize("ending", ["\n", "\r\n", ""])
def test_a_long_value_is_read_as_any_and_never_as_rows(tmp_path: Path, ending: str) -> None:
    # Longer than csv.reader takes: 131,072 characters.
    text = "".join(f'{number},c,""late"",a,fine\n' for number in range(9_000))
    found = read(
        written(tmp_path / "x.csv", f'{HEADER}\n1,c,"{text}",,{ending}{rows(2) if ending else ""}'),
        COLUMNS,
    )
    assert found[0] == (2, ["1", "c", text.replace('""', '"'), "", ""])
    assert found[1:] == ([(9_003, ["2", *GOOD])] if ending else [])


def test_a_long_value_of_one_line_is_read_up_to_the_limit_of_a_line(tmp_path: Path) -> None:
    found = read(written(tmp_path / "x.csv", f"a,b\n1,{'名' * 200_000}\n2,\n"))
    assert found == [(2, ["1", "名" * 200_000]), (3, ["2", ""])]


@pytest.mark.parametrize(
    "text", ["6,c,late,a,fine\n" * 70_000, "x" * MOST_LINE + "\n6,c,late,a,fine\n"],
    ids=["many lines", "long line"],
)  # fmt: skip
def test_a_row_beyond_the_limit_is_told_once_and_its_text_is_not_read(
    tmp_path: Path, text: str
) -> None:
    content = f'{HEADER}\n1,c,"{text}",a,fine\n{rows(2)}'
    found = read(written(tmp_path / "x.csv", content), COLUMNS)
    assert found == [(2, "LINE_TOO_LONG"), (content.count("\n"), ["2", *GOOD])]


def test_an_open_quote_beyond_the_limit_costs_its_row_alone(tmp_path: Path) -> None:
    inside = rows(*range(70_000))
    for closed, fault in (('9,"late",a', "CSV_MALFORMED"), ('9,c,late,a,"', "FIELD_COUNT")):
        path = written(tmp_path / "x.csv", f'{HEADER}\n2,c,"open,a,fine\n{inside}{closed}\n')
        found = read(path, COLUMNS)
        assert found[0] == (2, fault)
        assert found[1:-1] == [(3 + at, [str(at), *GOOD]) for at in range(70_000)]


@settings(max_examples=examples(500))
@given(st.lists(st.sampled_from(['"', ",", "\r", "\n", "x", "名", '""', '","']), max_size=12))
def test_a_row_read_by_hand_is_what_csv_reads(parts: list[str]) -> None:
    text = "x" + "".join(parts)
    lines = io.StringIO(text, newline="\n").readlines()
    try:
        expected: list[str] | None = next(csv.reader(lines, strict=True))
    except csv.Error:
        expected = None
    extent = RowExtent(len(text))
    taken = ""
    for line in lines:
        # In pieces, as lines beyond the limit come.
        for character in line:
            taken += character
            extent.read(character.encode())
        if extent.is_over:
            break
    else:
        extent.end()
    assert extent.is_broken is (expected is None)
    if expected is not None:
        assert extent.values == len(expected)
        assert values_of(taken) == expected
