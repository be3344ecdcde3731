"""What is printed is exact: money, times, canonical content."""

from decimal import Decimal
from io import StringIO

import pytest
import rfc8785
import typer
from google.protobuf.json_format import ParseDict
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from creditgate.scopes import known_scopes
from creditgate.v1 import usage_service_pb2 as pb
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.cli import terms
from gateway.cli.content import canonical_json
from gateway.cli.output import Sheet, as_dict, show_sheet, utc, yuan
from gateway.cli.record import records_sheet
from gateway.cli.tables import column_widths
from gateway.cli.usage import statement_sheets

_CONTENT = st.dictionaries(
    st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True),
    st.text(st.characters(codec="utf-8"), max_size=30)
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.booleans(),
    max_size=6,
)


@given(st.integers(-(2**63), 2**63 - 1))
def test_yuan_show_every_micro_yuan(micro_yuan: int) -> None:
    shown = yuan(micro_yuan)
    assert Decimal(shown) * 1_000_000 == micro_yuan
    assert len(shown.partition(".")[2]) == 6


@given(_CONTENT)
def test_content_is_written_as_rfc_8785_says(content: dict[str, str | int | bool]) -> None:
    assert canonical_json(content) == rfc8785.dumps(content)


def test_scripts_find_every_field_that_an_answer_cannot_leave_unset() -> None:
    line = pb.StatementLine(item="penalty")
    answer = pb.GetStatementResponse(statement=pb.Statement(month="1999-01", lines=[line]))
    told = as_dict(answer)["statement"]
    assert isinstance(told, dict)
    assert (told["total_micro_yuan"], told["total_entries"], told["shares"]) == ("0", "0", [])
    assert told["lines"][0]["fee_micro_yuan"] == "0"
    assert as_dict(pb.GetStatementResponse()) == {}, "a message that is not there is not told"
    assert ParseDict(as_dict(answer), pb.GetStatementResponse()) == answer


def test_times_are_shown_in_utc() -> None:
    assert utc(Timestamp(seconds=1_767_225_600)) == "2026-01-01T00:00:00Z"
    assert utc(Timestamp()) == ""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-01-01", 1_767_225_600),
        ("2026-01-01T08:00:00+08:00", 1_767_225_600),
        ("2026-01-01T00:00:00Z", 1_767_225_600),
    ],
)
def test_instants_are_read_in_their_zone(text: str, seconds: int) -> None:
    assert terms.instant(text) == seconds


@pytest.mark.parametrize(
    "text", ["2026-01-01T00:00:00", "yesterday", "2026-02-30", "2026-01-01T00:00:00.5Z"]
)
def test_instants_that_could_be_misread_are_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        terms.instant(text)


@pytest.mark.parametrize("value", [value for value in Purpose.values() if value])
def test_every_purpose_is_read_as_it_is_shown_and_completed(value: Purpose.ValueType) -> None:
    shown = terms.show_purpose(value)
    assert terms.purpose(shown) == value
    assert terms.purpose(Purpose.Name(value)) == value
    assert shown in terms.purposes(shown[:3])


@pytest.mark.parametrize("text", ["unspecified", "PURPOSE_UNSPECIFIED", "", "marketing"])
def test_no_purpose_is_taken_that_no_licence_could_cover(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="supplier-check"):
        terms.purpose(text)


def test_every_scope_of_a_method_is_completed_and_what_is_no_scope_is_not_read() -> None:
    assert set(terms.scopes("")) == known_scopes()
    assert terms.scope("credit.records.bidding:read") == "credit.records.bidding:read"
    with pytest.raises(typer.BadParameter, match="name:verb"):
        terms.scope("credit.records")


@pytest.mark.parametrize("text", ["basic", "basic=0.05", "basic=-1", "=1", "basic=1 000"])
def test_prices_are_whole_micro_yuan(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="MICROYUAN"):
        terms.price(text)


_CELL = st.text("abc-é示 ", max_size=40)


@given(
    st.integers(1, 5).flatmap(
        lambda columns: st.lists(
            st.lists(_CELL, min_size=columns, max_size=columns), min_size=1, max_size=4
        )
    ),
    st.integers(20, 130),
)
def test_no_word_of_a_table_is_ever_broken_or_cut(rows: list[list[str]], width: int) -> None:
    columns = [f"c{number}" for number in range(len(rows[0]))]
    printed = shown(Sheet("Title", columns, rows), width)
    words = {word for row in rows for cell in row for word in cell.split()}
    assert words <= set(printed.split())
    if column_widths([columns, *rows], width) is not None:
        assert all(cell_len(line) <= width for line in printed.splitlines())


def test_what_fits_no_table_is_shown_in_blocks_of_lines() -> None:
    rows = [("records/" + "a" * 64, "8ef2465a-806f-402e-8cb2-7fa7bf61d89a")]
    sheet = Sheet("Usage", ("record", "request id"), rows)
    assert shown(sheet, 80) == (
        f"Usage\n\n  record      {rows[0][0]}\n  request id  {rows[0][1]}\n\n"
    )
    assert "──" in shown(sheet, 120)


def test_records_are_blocks_with_a_line_for_each_field_of_the_content() -> None:
    record = DisclosedRecord(name="records/one", revision=2, content=b'{"a":"x","b":1}')
    printed = shown(records_sheet([record]), 300)
    assert "  record     records/one\n  revision   2\n" in printed
    assert (
        '  content    {\n               "a": "x",\n               "b": 1\n             }' in printed
    )


def test_a_statement_cut_short_says_what_it_leaves_out_and_keeps_the_total() -> None:
    lines = [
        pb.StatementLine(item=f"item-{number}", entries=1, fee_micro_yuan=number)
        for number in range(12)
    ]
    shares = [
        pb.RevenueShare(beneficiary=f"regions/{number}", amount_micro_yuan=number)
        for number in range(12)
    ]
    bill = pb.Statement(
        month="2026-04", lines=lines, total_entries=12, total_micro_yuan=66, shares=shares
    )
    short, shared = statement_sheets(bill, 10)
    assert [row[0] for row in short.rows] == [
        *(f"item-{number}" for number in range(11, 1, -1)),
        "… and 2 more; --json shows all",
        "total",
    ]
    assert short.rows[-1][3] == "12"
    assert [shared.rows[0][0], *shared.rows[-2:]] == [
        "regions/11",
        ("… and 2 more; --json shows all", ""),
        ("total", yuan(66)),
    ]
    whole, all_shares = statement_sheets(bill)
    assert len(whole.rows) == len(all_shares.rows) == 13


def shown(sheet: Sheet, width: int) -> str:
    """Return what is printed of a sheet where lines are ``width`` wide."""
    terminal = Console(file=StringIO(), width=width)
    show_sheet(sheet, terminal)
    assert isinstance(terminal.file, StringIO)
    return terminal.file.getvalue()
