"""Every form tells the same amounts, both sides sum to what is due, and closed months give the
same bytes whenever they are asked for."""

import csv
from io import BytesIO, StringIO

import pyarrow.parquet as pq
import pytest
from joserfc import jws
from joserfc.jwk import OKPKey
from reportlab.graphics.shapes import String

from creditgate.statement_document import (
    ALGORITHM,
    TYPE,
    StatementInvalid,
    StatementRegistry,
    open_statement,
)
from creditgate.transparency.note import VerifierKey
from creditgate.v1.usage_service_pb2 import CreditNote, RevenueShare, Statement
from gateway.documents.charts import Bar, bar_chart
from gateway.documents.extract import Extract, statement_digest
from gateway.documents.pdf import MOST_ROWS, pdf_of
from gateway.documents.rows import rows_of
from gateway.documents.tabular import csv_of, parquet_of
from gateway.settle.explain import yuan
from gateway.settlement.documents import message_of
from tests.documents.world import KEY, NOW, PEM, SIGNER, credited, extract, statements
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.reports.printed import text_of_pdf
from tests.settlement.world import Months

pytestmark = rarely_on_postgresql

_MONTHS = "2026-01", "2026-02", "2026-03"


def _forms(document: Extract, now: int = NOW) -> list[bytes]:
    return [
        SIGNER.sign(document, now),
        csv_of(document),
        parquet_of(document),
        pdf_of(document, "zh", now),
        pdf_of(document, "en", now),
    ]


def test_both_sides_of_every_statement_sum_to_what_is_due(months: Months) -> None:
    found = statements(months, *_MONTHS)
    assert found[1].adjustments
    assert found[1].pools
    for statement in (*found, credited(found[1])):
        rows = list(rows_of(statement))
        for side in ("OWED", "RECEIVED"):
            amounts = [row.amount_micro_yuan for row in rows if row.side == side]
            assert sum(amounts) == statement.due_micro_yuan, (statement.month, side)
        received = extract([statement]).received_by("beneficiary")
        due = {share.beneficiary: share.amount_micro_yuan for share in statement.due_shares}
        assert {name: amount for name, amount in received.items() if amount} == due


def test_each_row_explains_itself(months: Months) -> None:
    for statement in (*statements(months, *_MONTHS), credited(months.statement("2026-02"))):
        for row in rows_of(statement):
            assert row.explanation_zh, row
            assert row.explanation_en, row


@pytest.mark.parametrize(
    ("note", "taken", "paid"),
    [
        (
            CreditNote(amount_micro_yuan=10),
            "0.00001 yuan are given back to the operator for use that was overcharged; the 0.000007"
            " yuan that this beneficiary had too much are taken back",
            "多计的使用退回运营机构 0.00001 元；补付本受益方因此少得的 0.000002 元",
        ),
        (
            CreditNote(amount_micro_yuan=10, statement_month="2026-01"),
            "0.00001 yuan are given back to the operator, as the statement of 2026-01 charges too"
            " much; the 0.000007 yuan that this beneficiary had too much are taken back",
            "2026-01 账单多计，退回运营机构 0.00001 元；补付本受益方因此少得的 0.000002 元",
        ),
        (
            CreditNote(amount_micro_yuan=10, trued_up_month="2026-01"),
            "what is given back of 2026-01 is reckoned anew: 0.00001 yuan more to the operator; the"
            " 0.000007 yuan that this beneficiary had too much are taken back",
            "2026-01 的退款重新核算，补退运营机构 0.00001 元；补付本受益方因此少得的 0.000002 元",
        ),
        (
            CreditNote(amount_micro_yuan=-10, trued_up_month="2026-01"),
            "what is given back of 2026-01 is reckoned anew: 0.00001 yuan are taken back from the"
            " operator; the 0.000007 yuan that this beneficiary had too much are taken back",
            "2026-01 的退款重新核算，向运营机构收回 0.00001 元；补付本受益方因此少得的 0.000002 元",
        ),
        (
            CreditNote(trued_up_month="2026-01"),
            "what is given back of 2026-01 is reckoned anew: as much in all to the operator; the"
            " 0.000007 yuan that this beneficiary had too much are taken back",
            "2026-01 的退款重新核算，退回运营机构的总额不变；补付本受益方因此少得的 0.000002 元",
        ),
    ],
    ids=["use", "statement", "more", "less", "as much"],
)
def test_who_receives_less_by_a_credit_note_is_told_why(
    note: CreditNote, taken: str, paid: str
) -> None:
    shares = [
        RevenueShare(beneficiary="platform", amount_micro_yuan=7),
        RevenueShare(beneficiary="sources/mem", amount_micro_yuan=-2),
    ]
    shared = CreditNote(shares=shares)
    shared.MergeFrom(note)
    less, more = rows_of(Statement(credit_notes=[shared]))
    assert (less.amount_micro_yuan, less.explanation_en) == (-7, taken)
    assert (more.amount_micro_yuan, more.explanation_zh) == (2, paid)


def test_sources_and_regions_narrow_to_parts_of_the_whole(months: Months) -> None:
    found = [*statements(months, "2026-01"), credited(*statements(months, "2026-02"))]
    whole = extract(found)
    owed = {name: extract(found, source=name).owed for name in whole.owed_by("source") if name}
    assert sum(owed.values()) + whole.owed_by("source").get("", 0) == whole.owed
    for name in owed:
        narrow = extract(found, source=name)
        assert narrow.received == whole.received_by("beneficiary")[f"sources/{name}"]
        assert set(narrow.received_by("beneficiary")) == {f"sources/{name}"}
    region = extract(found, region="11")
    assert region.received == whole.received_by("beneficiary")["regions/11"]
    assert extract(found, source="nobody").rows == ()


def test_every_form_tells_the_same_rows(months: Months) -> None:
    document = extract([*statements(months, "2026-01"), credited(*statements(months, "2026-02"))])
    expected = [{**row._asdict()} for row in document.rows]
    table = pq.read_table(BytesIO(parquet_of(document)))
    assert table.to_pylist() == expected
    text = csv_of(document).decode("utf-8-sig")
    read = list(csv.DictReader(StringIO(text, newline="")))
    assert read == [{name: str(value) for name, value in row.items()} for row in expected]
    assert text.count("\r\n") == len(expected) + 1
    stated = open_statement(SIGNER.sign(document, NOW).decode(), KEY)
    assert int(stated["owed_micro_yuan"]) == int(stated["received_micro_yuan"]) == document.owed
    narrow = extract(document.statements, source="税务")
    stated = open_statement(SIGNER.sign(narrow, NOW).decode(), KEY)
    assert [int(row["amount_micro_yuan"]) for row in stated["rows"]] == [
        row.amount_micro_yuan for row in narrow.rows
    ]


@always_on_postgresql
def test_closed_months_give_the_same_bytes_also_from_the_ledger(months: Months) -> None:
    kept = [months.closings.closed("alpha", name) for name in _MONTHS]
    again = [message_of(months.closer.worked_out_again(each), Statement) for each in kept if each]
    assert len(again) == len(_MONTHS)
    assert _forms(extract(statements(months, *_MONTHS))) == _forms(extract(again), NOW + 12_345)


def test_signed_statement_is_verified_by_the_pinned_key_alone(months: Months) -> None:
    (statement,) = statements(months, "2026-02")
    document = SIGNER.sign(extract([statement]), NOW).decode()
    stated = open_statement(document, KEY)
    assert stated["state"] == "CLOSED"
    assert stated["iat"] == statement.close_time.seconds
    assert stated["digests"] == [
        {"operator_id": "alpha", "month": "2026-02", "sha256": statement_digest(statement)}
    ]
    assert stated["statements"][0]["due_micro_yuan"] == str(statement.due_micro_yuan)
    header, payload, signature = document.split(".")
    place = len(payload) // 2
    changed = payload[:place] + ("A" if payload[place] != "A" else "B") + payload[place + 1 :]
    for other in (f"{header}.{changed}.{signature}", "", "a.b", document + "A", "." * 3):
        with pytest.raises(StatementInvalid):
            open_statement(other, KEY)
    with pytest.raises(StatementInvalid, match="not signed by this key"):
        open_statement(document, VerifierKey(KEY.name, bytes(32)))


def test_what_the_key_signed_as_something_else_is_no_statement() -> None:
    for typ, text in (("creditgate-report+jwt", b"{}"), (TYPE, b"[]")):
        header = {"alg": ALGORITHM, "typ": typ}
        other = jws.serialize_compact(
            header, text, OKPKey.import_key(PEM), registry=StatementRegistry()
        )
        with pytest.raises(StatementInvalid, match="no statement"):
            open_statement(other, KEY)


def test_pdf_tells_amounts_and_reasons_in_either_language(months: Months) -> None:
    (statement,) = statements(months, "2026-02")
    document = extract([statement])
    for language, words in (("zh", "使用费账单"), ("en", "Statement of use")):
        text = text_of_pdf(pdf_of(document, language, NOW)).replace("\n", "")  # pyright: ignore[reportArgumentType]
        assert words in text
        assert yuan(statement.due_micro_yuan) in text
        assert "tiers" in text and "pooled" in text
        # What is wrapped is drawn word by word.
        assert statement_digest(statement)[:32] in text
    zh = text_of_pdf(pdf_of(document, "zh", NOW))
    assert "公益免费额度" in zh.replace("\n", "")
    assert "已结算" in zh


def test_pdf_draws_what_a_source_receives_that_is_named_as_a_region_beside_the_regions_own(
    months: Months,
) -> None:
    (statement,) = statements(months, "2026-01")
    named = Statement()
    named.CopyFrom(statement)
    for shared in named.sharing:
        for share in shared.shares:
            share.beneficiary = share.beneficiary.replace("sources/mem", "sources/11")
    document = extract([named])
    received = document.received_by("beneficiary")
    both = yuan(received["sources/11"] + received["regions/11"])
    assert both in text_of_pdf(pdf_of(document, "zh", NOW))


def test_charts_name_characters_that_their_font_has_not() -> None:
    drawing = bar_chart([Bar("\U00020bb7野家 ﷺ", 1_000_000)])
    label = next(each for each in drawing.contents if isinstance(each, String))
    assert label.text == "〔U+20BB7〕野家 〔U+FDFA〕"


def test_pdf_of_very_many_rows_keeps_the_largest_and_tells_the_rest(months: Months) -> None:
    (statement,) = statements(months, "2026-02")
    many = Statement()
    many.CopyFrom(statement)
    for _ in range(MOST_ROWS):
        many.details.add(item="penalty", source="mem", region="11", fee_micro_yuan=1)
    text = text_of_pdf(pdf_of(extract([many]), "en", NOW)).replace("\n", " ")
    assert f"{len(statement.details)} more rows" in text


def test_open_months_say_so_and_when(months: Months) -> None:
    (statement,) = statements(months, "2026-04")
    document = extract([statement])
    assert document.state == "OPEN"
    assert open_statement(SIGNER.sign(document, NOW).decode(), KEY)["iat"] == NOW
    assert "尚可变化" in text_of_pdf(pdf_of(document, "zh", NOW)).replace("\n", "")


@pytest.mark.parametrize(
    "name",
    [
        '=HYPERLINK("http://x")',
        *("+1+1", "-1+1", "@SUM(1)"),
        *("＝1+1", "＋1+1", "－1+1", "＠SUM(1)", "﹦1+1", "﹫SUM(1)"),
        *("\t某局", "\r某局", "\n某局"),
        *(" =1+1", "\u3000＝1+1", "\xa0 @SUM(1)", " \n+1"),
    ],
)
def test_spreadsheets_take_no_name_for_a_formula(months: Months, name: str) -> None:
    rows = _csv_rows_naming(months, name)
    assert rows[0]["source"] == f"'{name}"
    # Amounts stay numbers.
    assert any(row["amount_micro_yuan"].startswith("-") for row in rows)


@pytest.mark.parametrize("name", ["某局=某局", " 某局", "（某局）-@", "'=1", "①=1"])
def test_names_that_are_no_formula_stay_as_they_are(months: Months, name: str) -> None:
    assert _csv_rows_naming(months, name)[0]["source"] == name


def _csv_rows_naming(months: Months, source: str) -> list[dict[str, str]]:
    """Return the rows of a statement as CSV, of which the first has this source."""
    (statement,) = statements(months, "2026-02")
    named = Statement()
    named.CopyFrom(statement)
    named.details[0].source = source
    text = csv_of(extract([named])).decode("utf-8-sig")
    return list(csv.DictReader(StringIO(text, newline="")))
