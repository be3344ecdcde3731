"""A file of copies is read whole or refused, and gives the same elements in every form."""

import json
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from creditgate.transparency.facts import NO_END, Copy, copy_digest
from sdk.copies.elements import Elements, copies_of
from sdk.copies.file import CopiesFile
from sdk.copies.held import CopiesRefused
from tests.copies.files import COLUMNS, WRITERS, Told

START, END = 1_767_225_600, 1_798_761_600
"""2026-01-01 and 2027-01-01."""
ONE = Told("penalty-1", b'{"fine_fen":100}', START, END)
IDS = st.text("abcXYZ019._~-", min_size=1, max_size=20)
CONTENTS = st.text(min_size=1, max_size=40).map(str.encode)
INSTANTS = st.integers(0, NO_END - 1)
TOLD = st.builds(Told, IDS, CONTENTS, INSTANTS, INSTANTS | st.none())


def expected(copy: Told) -> bytes:
    """Return the element of a copy, made by hand."""
    until = NO_END if copy.disclosed_until is None else copy.disclosed_until
    digest = sha256(copy.content).digest()
    return copy_digest(Copy(copy.record_id, digest, copy.disclosed_from, until))[:16]


def written(path: Path, text: str) -> CopiesFile:
    path.write_text(text, encoding="utf-8")
    return CopiesFile(path)


@settings(max_examples=60)
@given(st.lists(TOLD, min_size=1, max_size=8))
def test_copies_have_the_same_elements_in_every_form(
    tmp_path_factory: pytest.TempPathFactory, copies: list[Told]
) -> None:
    folder = tmp_path_factory.mktemp("copies")
    elements = sorted({expected(copy) for copy in copies})
    for name, write in WRITERS.items():
        write(folder / name, copies)
        assert Elements(CopiesFile(folder / name)).packed() == b"".join(elements), name


@given(TOLD, TOLD)
def test_copies_that_differ_in_anything_have_different_elements(one: Told, other: Told) -> None:
    assert (expected(one) == expected(other)) == (one == other)


@pytest.mark.parametrize("name", ["copies.csv", "copies.jsonl", "copies.parquet"])
def test_a_file_in_another_encoding_is_refused_and_not_read_as_altered_copies(
    tmp_path: Path, name: str
) -> None:
    content = '{"reason":"逾期未公示年度报告"}'
    WRITERS[name](tmp_path / name, [ONE, ONE._replace(content=content.encode())])
    assert len(list(CopiesFile(tmp_path / name))) == 2
    WRITERS[name](tmp_path / name, [ONE, ONE._replace(content=content.encode("gbk"))])
    with pytest.raises(CopiesRefused, match="in UTF-8"):
        list(CopiesFile(tmp_path / name))


def test_a_copy_held_twice_is_one(tmp_path: Path) -> None:
    WRITERS["copies.csv"](tmp_path / "copies.csv", [ONE, ONE, ONE._replace(content=b"{}")])
    assert len(Elements(CopiesFile(tmp_path / "copies.csv"))) == 2


def test_copies_are_shown_in_the_order_asked(tmp_path: Path) -> None:
    copies = [ONE._replace(record_id=f"penalty-{number}") for number in range(5)]
    path = tmp_path / "copies.parquet"
    WRITERS["copies.parquet"](path, copies)
    shown = copies_of(CopiesFile(path), [expected(copies[3]), expected(copies[1])], path)
    assert [copy.record_id for copy in shown] == ["penalty-3", "penalty-1"]
    assert shown[0].shown().disclosed_until.seconds == END


@pytest.mark.parametrize(
    "written_as", ["2026-01-01T00:00:00Z", "2026-01-01T08:00:00+08:00", "1767225600"]
)
def test_an_instant_is_the_same_however_it_is_written(tmp_path: Path, written_as: str) -> None:
    text = f"{','.join(COLUMNS)}\npenalty-1,{{}},{written_as},\n"
    (copy,) = written(tmp_path / "copies.csv", text)
    assert (copy.disclosed_from, copy.disclosed_until) == (START, NO_END)
    assert not copy.shown().HasField("disclosed_until")


def test_a_date_is_midnight_in_china(tmp_path: Path) -> None:
    text = f"{','.join(COLUMNS)}\npenalty-1,{{}},2026-01-01,2027-01-01\n"
    (copy,) = written(tmp_path / "copies.csv", text)
    assert copy.disclosed_from == START - 8 * 3_600


def test_digests_do_in_the_place_of_contents(tmp_path: Path) -> None:
    digest = sha256(ONE.content).hexdigest()
    text = f"record_id,content_digest,disclosed_from,disclosed_until\npenalty-1,{digest},{START},{END}\n"
    (copy,) = written(tmp_path / "copies.csv", text)
    assert copy.content is None
    assert copy.element() == expected(ONE)


def test_a_digest_stands_for_a_content_left_empty(tmp_path: Path) -> None:
    digest = sha256(ONE.content).hexdigest()
    rows = [
        {"record_id": "penalty-1", "content": content, "content_digest": told}
        for content, told in ((None, digest), ("", digest), ('{"fine_fen":100}', None))
    ]
    period = {"disclosed_from": str(START), "disclosed_until": str(END)}
    lines = "".join(json.dumps(row | period) + "\n" for row in rows)
    held = list(written(tmp_path / "copies.jsonl", lines))
    assert [copy.element() for copy in held] == [expected(ONE)] * 3


@pytest.mark.parametrize(
    ("row", "mend"),
    [
        ("penalty-1,,1,2", "write content as the bytes that were served"),
        ("pen/alty,{},1,2", "name the record by its id"),
        (",{},1,2", "name the record by its id"),
        ("penalty-1,{},,2", "write disclosed_from as"),
        ("penalty-1,{},2026-01-01T00:00:00,2", "write disclosed_from as"),
        ("penalty-1,{},1,soon", "write disclosed_until as"),
        ("penalty-1,{},1,999999999999", "write disclosed_until as"),
        ("penalty-1,{},1", "as many values as the header"),
        ('penalty-1,"{,1,2', "close every quoted value"),
    ],
)
def test_a_row_that_cannot_be_read_refuses_the_whole_file(
    tmp_path: Path, row: str, mend: str
) -> None:
    file = written(tmp_path / "copies.csv", f"{','.join(COLUMNS)}\npenalty-0,{{}},1,2\n{row}\n")
    with pytest.raises(CopiesRefused, match="row 3: ") as caught:
        list(file)
    assert mend in str(caught.value)
    assert "soon" not in str(caught.value)


def test_a_digest_stands_for_a_content_left_out_of_a_saved_record(tmp_path: Path) -> None:
    line = {
        "name": "records/penalty-1",
        "content_digest": b64encode(sha256(ONE.content).digest()).decode(),
        "disclosed_from": str(START),
        "disclosed_until": str(END),
    }
    (copy,) = written(tmp_path / "records.jsonl", json.dumps(line) + "\n")
    assert (copy.content, copy.element()) == (None, expected(ONE))


@pytest.mark.parametrize(
    ("line", "mend"),
    [
        ("{", "one JSON object a line"),
        ("[]", "one JSON object a line"),
        ('{"name": "records/a", "content": "e30", "disclosed_from": "2026-01-01"}', "base64"),
        ('{"name": "records/a", "content": "e30=", "disclosed_from": 1}', "as a text"),
        ('{"name": "a b", "content": "e30=", "disclosed_from": "2026-01-01"}', "by its id"),
        ('{"name": "a", "disclosed_from": "2026-01-01"}', "or its content_digest"),
        ('{"name": "a", "content": "", "disclosed_from": "2026-01-01"}', "or its content_digest"),
        ('{"name": "a", "content_digest": "e30=", "disclosed_from": "1"}', "content_digest"),
        ('{"name": "a", "content_digest": "e30", "disclosed_from": "1"}', "in base64"),
        ('{"name": "a", "content": "' + "A" * (1 << 20) + '"}', "below 1 MiB"),
    ],
)
def test_a_saved_record_that_cannot_be_read_refuses_the_whole_file(
    tmp_path: Path, line: str, mend: str
) -> None:
    first = '{"name": "records/a", "content": "e30=", "disclosed_from": "2026-01-01"}'
    file = written(tmp_path / "records.jsonl", f"{first}\n\n{line}\n")
    with pytest.raises(CopiesRefused, match=f"row 3: .*{mend}"):
        list(file)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("copies.csv", "id,content\n1,2\n"),
        ("copies.csv", "record_id,content,disclosed_from\n"),
        ("copies.jsonl", '{"id": 1}\n'),
        ("copies.txt", "record_id\n"),
        ("copies.parquet", "record_id\n"),
    ],
)
def test_a_file_in_another_form_is_refused_with_what_it_needs(
    tmp_path: Path, name: str, text: str
) -> None:
    with pytest.raises(CopiesRefused, match=name):
        list(written(tmp_path / name, text))


def test_a_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CopiesRefused, match="does not exist"):
        list(CopiesFile(tmp_path / "copies.csv"))


@pytest.mark.parametrize("name", ["copies.csv", "copies.parquet"])
def test_a_file_without_rows_holds_no_copies(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name, [])
    assert len(Elements(CopiesFile(tmp_path / name))) == 0


@pytest.mark.parametrize("name", ["copies.csv", "copies.jsonl", "copies.ndjson"])
def test_an_empty_file_is_refused_and_not_taken_for_no_copies(tmp_path: Path, name: str) -> None:
    with pytest.raises(CopiesRefused, match="is empty"):
        list(written(tmp_path / name, ""))
