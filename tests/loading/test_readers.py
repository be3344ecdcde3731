"""Readers give every row of a file, or say why one cannot be read; no row costs another."""

import csv
import io
import json
import os
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sdk.loading.batches import batches
from sdk.loading.draft import DraftMaker
from sdk.loading.fault import RowFault
from sdk.loading.rows import MOST_LINE, BadRow, Row, SourceRefused
from sdk.loading.sources import fitting_mapping, open_rows, sources_in
from tests.examples import examples
from tests.loading.files import (
    COLUMNS,
    REGISTRATION,
    registration,
    write_csv,
    write_jsonl,
    write_parquet,
)

_CELL = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
AB = ("a", "b")


def read(path: Path, columns: Sequence[str] = AB) -> list[tuple[int, list[str] | str]]:
    """Return (number, cells or name of the fault) of every row; the whole file was read."""
    reader = open_rows(path, columns)
    found = [
        (row.number, list(row.cells) if isinstance(row, Row) else row.fault.name) for row in reader
    ]
    assert reader.read_bytes == path.stat().st_size
    reader.close()
    return found


def written(path: Path, content: str | bytes) -> Path:
    """Write a file."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_the_same_rows_in_every_format_make_the_same_drafts(tmp_path: Path) -> None:
    rows = [registration(number) for number in range(2_500)]
    paths = [
        write_csv(tmp_path / "rows.csv", rows),
        write_csv(tmp_path / "bom.CSV", rows, bom=True),
        write_jsonl(tmp_path / "rows.jsonl", rows),
        write_parquet(tmp_path / "rows.parquet", rows),
    ]
    requests = [
        [batch.request for batch in batches(open_rows(path, REGISTRATION.used()), maker)]
        for path in paths
        for maker in [DraftMaker(REGISTRATION)]
    ]
    assert [len(request.records) for request in requests[0]] == [1_000, 1_000, 500]
    assert all(made == requests[0] for made in requests)


@settings(max_examples=examples(200), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(_CELL, _CELL), max_size=8))
def test_any_texts_come_back_from_csv_and_jsonl(
    tmp_path: Path, rows: list[tuple[str, str]]
) -> None:
    # RFC 4180 quotes; so every line break inside a value survives, and "" is a row.
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([AB, *rows])
    from_csv = read(written(tmp_path / "x.csv", text.getvalue()))
    lines = "".join(json.dumps(dict(zip(AB, row, strict=True))) + "\n" for row in rows)
    from_jsonl = read(written(tmp_path / "x.jsonl", lines))
    assert [cells for _, cells in from_csv] == [list(row) for row in rows]
    assert from_jsonl == [(number, list(row)) for number, row in enumerate(rows, 1)]


def test_columns_come_in_the_order_asked_for_whatever_else_the_file_has(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", "b, c ,a\r\n2,3,1\r\n")
    assert read(path) == [(2, ["1", "2"])]


def test_rows_are_numbered_by_the_line_they_start_at(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", 'a,b\n1,"two\nlines"\n\n\n3,4\n')
    assert read(path) == [(2, ["1", "two\nlines"]), (6, ["3", "4"])]
    path = written(tmp_path / "x.jsonl", '{"a":"1","b":""}\n\n{"a":"3","b":null}')
    assert read(path) == [(1, ["1", ""]), (3, ["3", ""])]


def test_a_row_with_too_few_or_too_many_values_costs_itself_alone(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", "a,b\n1\n1,2,3\n1,2\n")
    assert read(path) == [(2, "FIELD_COUNT"), (3, "FIELD_COUNT"), (4, ["1", "2"])]


@pytest.mark.parametrize(
    ("bad", "number"),
    [
        ('"unclosed,2', 3),
        ('1,"closed"too soon', 3),
        ('"5" pipe",2', 3),
        ("1\r2,3", 3),
        ("1," + "2" * MOST_LINE, 3),
    ],
    ids=["unclosed", "closed too soon", "quote inside", "lone return", "long line"],
)
def test_a_row_that_is_no_csv_costs_itself_alone(tmp_path: Path, bad: str, number: int) -> None:
    good = "".join(f'{n},"v ""{n}"", {n}"\n' for n in range(20))
    path = written(tmp_path / "x.csv", f"a,b\n0,0\n{bad}\n{good}")
    found = read(path)
    assert [row for row in found if isinstance(row[1], str)] == [
        (number, "LINE_TOO_LONG" if len(bad) > MOST_LINE else "CSV_MALFORMED")
    ]
    assert [cells for _, cells in found[2:]] == [[str(n), f'v "{n}", {n}'] for n in range(20)]
    assert [at for at, _ in found] == list(range(2, 24))


def test_an_unclosed_quote_swallows_nothing_up_to_the_end_of_a_long_file(tmp_path: Path) -> None:
    good = "".join(f"{n},{'x' * 90}\n" for n in range(5_000))
    found = read(written(tmp_path / "x.csv", f'a,b\n"unclosed,2\n{good}'))
    assert found[0] == (2, "CSV_MALFORMED")
    assert len(found) == 5_001
    assert not any(isinstance(cells, str) for _, cells in found[1:])


def test_a_long_line_inside_an_unclosed_quote_is_told_for_itself(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", 'a,b\n"open,1\n' + "z" * 3 * MOST_LINE + "\n1,2\n")
    assert read(path) == [(2, "CSV_MALFORMED"), (3, "LINE_TOO_LONG"), (4, ["1", "2"])]


def test_bytes_that_are_no_utf_8_cost_only_rows_that_need_them(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", b"a,b,c\n1,2,\xff\n\xff,2,3\n1,2,3\n")
    assert [cells for _, cells in read(path)] == [["1", "2"], ["\udcff", "2"], ["1", "2"]]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "NOT_JSON"),
        ("[1]", "NOT_JSON"),
        ('{"a":1,"a":2,"b":3}', "NOT_JSON"),
        ('{"a":NaN,"b":""}', "NOT_JSON"),
        ("[" * 100_000, "NOT_JSON"),
        ('{"a":"x"}', "COLUMN_MISSING"),
        ('{"a":"x","b":["y"]}', "VALUE_NESTED"),
        ('{"a":"x","b":{}}', "VALUE_NESTED"),
        ('{"a":"' + "x" * MOST_LINE + '","b":""}', "LINE_TOO_LONG"),
        (b'{"a":"\xff","b":""}', "NOT_UTF8"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_line_that_is_no_row_costs_itself_alone(
    tmp_path: Path, line: str | bytes, reason: str
) -> None:
    good = b'{"a":"1","b":"2"}\n'
    raw = line if isinstance(line, bytes) else line.encode()
    found = read(written(tmp_path / "x.jsonl", good + raw + b"\n" + good))
    assert found == [(1, ["1", "2"]), (2, reason), (3, ["1", "2"])]


def test_numbers_and_truth_of_jsonl_stay_as_written(tmp_path: Path) -> None:
    path = written(
        tmp_path / "x.jsonl", '{"a":12345678901234567890.10,"b":true}\n{"a":-0,"b":false}'
    )
    assert read(path) == [(1, ["12345678901234567890.10", "true"]), (2, ["-0", "false"])]


def test_a_missing_key_is_told_with_its_column(tmp_path: Path) -> None:
    reader = open_rows(written(tmp_path / "x.jsonl", '{"a":"x"}'), AB)
    assert list(reader) == [BadRow(1, RowFault.COLUMN_MISSING, "b")]
    reader.close()


def test_parquet_types_become_the_texts_csv_would_hold(tmp_path: Path) -> None:
    columns: dict[str, pa.Array] = {
        "integer": pa.array([-5, None], pa.int64()),
        "decimal": pa.array([Decimal("1.50"), None], pa.decimal128(5, 2)),
        "truth": pa.array([True, False]),
        "date": pa.array([date(2024, 7, 22), None]),
        "instant": pa.array(
            [datetime(2024, 7, 22, 12, tzinfo=UTC), None], pa.timestamp("ms", "UTC")
        ),
        "china": pa.array(
            [datetime(2024, 7, 22, 12, tzinfo=UTC), None], pa.timestamp("ns", "Asia/Shanghai")
        ),
        "local": pa.array([datetime(2024, 7, 22, 12, tzinfo=UTC), None], pa.timestamp("us")),
        "word": pa.array(["x", None]).dictionary_encode(),
        "large": pa.array(["x", None], pa.large_string()),
        "raw": pa.array([b"\xffx", None]),
    }
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    assert read(tmp_path / "x.parquet", list(columns)) == [
        (1, ["-5", "1.50", "true", "2024-07-22", "2024-07-22T12:00:00Z",
             "2024-07-22T20:00:00+08:00", "2024-07-22T12:00:00", "x", "x", "\udcffx"]),
        (2, ["", "", "false", "", "", "", "", "", "", ""]),
    ]  # fmt: skip


def test_parquet_texts_that_are_no_utf_8_cost_only_their_rows(tmp_path: Path) -> None:
    raw = pa.array([b"fine", b"\xff"])
    text = pa.Array.from_buffers(pa.string(), 2, raw.buffers())
    columns = {"text": text, "word": text.dictionary_encode(), "byte": raw.dictionary_encode()}
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    assert read(tmp_path / "x.parquet", list(columns)) == [(1, ["fine"] * 3), (2, ["\udcff"] * 3)]


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.float64()])
def test_parquet_numbers_that_are_none_cost_only_their_rows(tmp_path: Path, kind: Any) -> None:
    values = [1.5, float("nan"), None, float("inf"), float("-inf")]
    plain = pa.array(values, pa.float64()).cast(kind)
    columns = {"a": pa.array([float("nan"), *[0.5] * 4]), "b": plain}
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    reader = open_rows(tmp_path / "x.parquet", ("a", "b"))
    assert list(reader) == [
        BadRow(1, RowFault.NUMBER_NOT_FINITE, "a"),
        BadRow(2, RowFault.NUMBER_NOT_FINITE, "b"),
        Row(3, ("0.5", "")),
        BadRow(4, RowFault.NUMBER_NOT_FINITE, "b"),
        BadRow(5, RowFault.NUMBER_NOT_FINITE, "b"),
    ]
    reader.close()


def test_parquet_bytes_of_a_fixed_length_are_read_as_any(tmp_path: Path) -> None:
    raw = pa.array([b"ab", b"\xff\xff", None], pa.binary(2))
    pq.write_table(pa.table({"a": raw}), tmp_path / "x.parquet")
    found = [(1, ["ab"]), (2, ["\udcff\udcff"]), (3, [""])]
    assert read(tmp_path / "x.parquet", ["a"]) == found


def test_a_parquet_file_whose_column_names_are_no_utf_8_is_refused_with_the_mend(
    tmp_path: Path,
) -> None:
    path = write_parquet(tmp_path / "x.parquet", [["1", "2", "3"]], (*AB, "name"))
    path.write_bytes(path.read_bytes().replace(b"name", "名称".encode("gbk")))
    with pytest.raises(SourceRefused, match="not in UTF-8"):
        open_rows(path, AB)


@pytest.mark.parametrize("ending", [".jsonl", ".ndjson"])
def test_an_empty_file_has_no_rows(tmp_path: Path, ending: str) -> None:
    assert read(written(tmp_path / f"x{ending}", "")) == []


def test_a_file_with_columns_and_no_rows_has_no_rows(tmp_path: Path) -> None:
    assert read(written(tmp_path / "x.csv", "a,b\n")) == []
    assert read(write_parquet(tmp_path / "x.parquet", [], AB)) == []


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("x.csv", b"", "is empty: it has no line of CSV column names"),
        ("x.csv", b"\xef\xbb\xbf", "lacks the columns a, b"),
        ("x.csv", b"a;b\n1;2\n", "lacks the columns a, b"),
        ("x.csv", b"a\n", "lacks the columns b"),
        ("x.csv", b"a,b,a\n", "has the columns a more than once"),
        ("x.csv", "a,名称\n".encode("gb18030"), "not in UTF-8"),
        ("x.csv", "a,b\n".encode("utf-16"), "not in UTF-8"),
        ("x.csv", b'"a,b\n1,2\n', "does not start with a line of CSV column names"),
        ("x.csv", b"a," + b"b" * MOST_LINE + b"\n", "does not start with"),
        ("x.csv", b"a,b\r1,2\r", "by carriage returns alone; write it with line feeds"),
        ("x.csv", b'"a",b' + b"\r1,2" * MOST_LINE, "by carriage returns alone"),
        ("x.csv", b'a,"b\r,c\n', "does not start with"),
        ("x.parquet", b"", "no Parquet file"),
        ("x.parquet", b"PAR1 but not really PAR1", "no Parquet file"),
        ("x.xlsx", b"", "only files that end in .csv, .jsonl, .ndjson, .parquet"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_refused_with_the_mend(
    tmp_path: Path, name: str, content: bytes, told: str
) -> None:
    with pytest.raises(SourceRefused, match=told):
        open_rows(written(tmp_path / name, content), AB)


def test_parquet_columns_no_text_can_be_made_of_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [["x"]], "b": ["y"]}), tmp_path / "x.parquet")
    with pytest.raises(SourceRefused, match="column a is of a type no text can be made of"):
        open_rows(tmp_path / "x.parquet", AB)


def test_a_damaged_parquet_file_is_told_after_the_rows_before_it(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    table = pa.table({"a": [f"{n:09d}" for n in range(20_000)]})
    pq.write_table(table, path, row_group_size=10_000, compression="none", use_dictionary=False)
    damaged = bytearray(path.read_bytes())
    damaged[130_000:230_000] = b"\xff" * 100_000
    path.write_bytes(damaged)
    reader = open_rows(path, ["a"])
    seen = 0
    with pytest.raises(SourceRefused) as refused:
        for _ in reader:
            seen += 1
    reader.close()
    assert 0 < seen < 20_000
    assert f"cannot be read beyond row {seen};" in str(refused.value)


@pytest.mark.parametrize("beyond", [0, 500], ids=["at a border", "inside"])
def test_a_parquet_file_that_is_cut_while_it_is_read_is_told_after_the_rows_before_it(
    tmp_path: Path, beyond: int
) -> None:
    path = tmp_path / "x.parquet"
    numbers = [f"{n:09d}" for n in range(20_000)]
    pq.write_table(pa.table({"a": numbers, "b": numbers}), path, row_group_size=2_000)
    border = pq.read_metadata(path).row_group(6).column(0).dictionary_page_offset
    reader = open_rows(path, AB)
    rows = iter(reader)
    seen = [next(rows)]
    os.truncate(path, border + beyond)
    with pytest.raises(SourceRefused, match="cannot be read beyond row 12000; write it anew"):
        seen += rows
    reader.close()
    assert len(seen) == 12_000


def test_a_folder_gives_every_file_it_can_load_by_name(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("b/1.csv", "a.jsonl", "README.md", "c.PARQUET", "._d.csv"):
        written(tmp_path / name, "")
    assert [path.name for path in sources_in(tmp_path)] == ["a.jsonl", "1.csv", "c.PARQUET"]
    assert sources_in(tmp_path / "a.jsonl") == (tmp_path / "a.jsonl",)


def test_a_folder_without_such_files_is_refused(tmp_path: Path) -> None:
    written(tmp_path / "README.md", "")
    with pytest.raises(SourceRefused, match="holds no file that ends in"):
        sources_in(tmp_path)
    with pytest.raises(SourceRefused, match="does not exist"):
        sources_in(tmp_path / "missing.csv")


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    written(tmp_path / "a.csv", "")
    os.mkfifo(tmp_path / "p.csv")
    with pytest.raises(SourceRefused, match=r"p\.csv is no file.*take it out"):
        sources_in(tmp_path)
    with pytest.raises(SourceRefused, match="neither a file nor a folder"):
        sources_in(tmp_path / "p.csv")
    (tmp_path / "p.csv").unlink()
    (tmp_path / "l.csv").symlink_to("nothing")
    with pytest.raises(SourceRefused, match=r"l\.csv is no file.*take it out"):
        sources_in(tmp_path)


def test_a_file_gets_the_one_mapping_that_fits_its_columns(tmp_path: Path) -> None:
    known = {"one": REGISTRATION}
    rows = [registration(1)]
    for path in (
        write_csv(tmp_path / "x.csv", rows),
        write_jsonl(tmp_path / "x.jsonl", rows),
        write_parquet(tmp_path / "x.parquet", rows),
    ):
        assert fitting_mapping(path, known) is REGISTRATION
    with pytest.raises(SourceRefused, match=r"several mappings \(one, two\)"):
        fitting_mapping(tmp_path / "x.csv", known | {"two": REGISTRATION})
    with pytest.raises(SourceRefused, match="no mapping of one"):
        fitting_mapping(write_csv(tmp_path / "y.csv", [], COLUMNS[1:]), known)
    with pytest.raises(SourceRefused, match="no mapping of one"):
        fitting_mapping(written(tmp_path / "y.jsonl", "["), known)
