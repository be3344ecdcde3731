"""Leaves of usage logs, against protobuf's own encoding."""

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from creditgate.transparency.strict import strictly
from creditgate.v1.usage_log_pb2 import UsageDetail, UsageLeaf, UsageLine
from gateway.disclose.model import Line
from gateway.meter.leaf import MOST_DETAIL_BYTES, LineFields, detail_of, leaf_bytes
from gateway.meter.model import ANSWER, REVERSAL, LineCount, UsageRow, lines_text, pack_entries

NAMES = {
    1: Line("penalty.general", "发明市市场监督管理局", "000000"),
    2: Line("credit-rating", "s", "110000"),
    300: Line("i" * 64, "部" * 200, "999999"),
}
_NUMBERS = st.integers(0, (1 << 63) - 1) | st.integers(0, 1 << 22)
_TEXTS = st.text(max_size=200)
_BYTES = st.binary(max_size=200)
_LINES = st.lists(
    st.builds(LineCount, st.sampled_from(sorted(NAMES)), _NUMBERS, _NUMBERS), max_size=5
).map(tuple)


def names() -> LineFields:
    """Return line fields that know the names."""
    fields = LineFields()
    fields.learn(NAMES)
    return fields


def plain_lines(text_lines: tuple[LineCount, ...]) -> list[UsageLine]:
    """Return lines as messages."""
    return [
        UsageLine(
            item=NAMES[line_no].item,
            source=NAMES[line_no].source,
            region=NAMES[line_no].region,
            entries=records,
            unit_price_micro_yuan=price,
        )
        for line_no, records, price in text_lines
    ]


@st.composite
def rows(draw: st.DrawFn) -> tuple[UsageRow, tuple[LineCount, ...]]:
    """Draw rows, with their lines."""
    lines = draw(_LINES)
    kind = draw(st.sampled_from([ANSWER, REVERSAL]))
    entries = pack_entries(draw(st.lists(_NUMBERS, max_size=20)))
    row = UsageRow(
        operator_id=draw(_TEXTS),
        client_id=draw(_TEXTS),
        request_id=draw(_TEXTS),
        chunk=draw(st.integers(0, (1 << 31) - 1)),
        payload_digest=draw(_BYTES),
        licence=draw(_TEXTS),
        consent=draw(_TEXTS),
        purpose=draw(st.integers(0, 9)),
        decision_id=draw(_TEXTS),
        # A clock may be set anywhere.
        served_at=draw(_NUMBERS | st.integers(-(1 << 62), -1)),
        disclosure_sequence=draw(_NUMBERS),
        entry_count=len(entries) // 8,
        fee=draw(_NUMBERS),
        lines=lines_text(lines),
        entries=entries,
        kind=kind,
        usage_index=draw(_NUMBERS),
        records_digest=draw(_BYTES),
        reversed_index=draw(_NUMBERS) if kind == REVERSAL else None,
    )
    return row, lines


@given(rows())
def test_leaf_is_what_protobuf_writes(drawn: tuple[UsageRow, tuple[LineCount, ...]]) -> None:
    row, lines = drawn
    expected = UsageLeaf(
        kind=row.kind,  # pyright: ignore[reportArgumentType]
        operator_id=row.operator_id,
        usage_index=row.usage_index,
        client_id=row.client_id,
        request_id=row.request_id,
        chunk=row.chunk,
        payload_digest=row.payload_digest,
        licence=row.licence,
        consent=row.consent,
        purpose=row.purpose,  # pyright: ignore[reportArgumentType]
        decision_id=row.decision_id,
        serve_seconds=row.served_at,
        disclosure_sequence=row.disclosure_sequence,
        lines=plain_lines(lines),
        fee_micro_yuan=row.fee,
        records_digest=row.records_digest,
        revisions=row.entries,
        reversed_index=row.reversed_index or 0,
    )
    fields = names().of(row.lines)
    detail = detail_of(row, fields)
    if detail:
        whole = UsageDetail(lines=expected.lines, revisions=expected.revisions)
        assert detail == whole.SerializeToString(deterministic=True)
        assert len(detail) > MOST_DETAIL_BYTES
        expected.ClearField("lines")
        expected.ClearField("revisions")
        expected.detail_digest = sha256(detail).digest()
    assert leaf_bytes(row, fields, detail) == expected.SerializeToString(deterministic=True)


@given(st.integers(-8, 8))
def test_leaf_of_a_large_answer_has_the_digest_of_its_detail(more: int) -> None:
    entries = pack_entries(range(MOST_DETAIL_BYTES // 8 + more))
    lines = (LineCount(1, len(entries) // 8, 7),)
    row = UsageRow(
        *("alpha", "alpha-client", "r-1", 0, b"p", "L-1", "", 1, "d-1", 1, 1),
        entry_count=len(entries) // 8,
        fee=7,
        lines=lines_text(lines),
        entries=entries,
        kind=ANSWER,
        usage_index=0,
        records_digest=b"",
        reversed_index=None,
    )
    fields = names().of(row.lines)
    whole = UsageDetail(lines=plain_lines(lines), revisions=entries)
    detail = detail_of(row, fields)
    leaf = strictly(UsageLeaf, leaf_bytes(row, fields, detail))
    if len(whole.SerializeToString()) <= MOST_DETAIL_BYTES:
        assert (leaf.revisions, leaf.detail_digest, detail) == (entries, b"", b"")
        return
    assert strictly(UsageDetail, detail) == whole
    assert leaf.detail_digest == sha256(detail).digest()
    assert not leaf.lines
    assert not leaf.revisions
    assert leaf.fee_micro_yuan == 7


def test_columns_of_a_row_are_those_of_the_table() -> None:
    from gateway.meter.tables import USAGE

    assert {*UsageRow._fields} == {column.name for column in USAGE.c} - {
        "sequence",
        "leaf_hash",
    }
