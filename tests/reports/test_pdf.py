"""Printed reports: what they say, whatever records hold."""

import json
import re
from hashlib import sha256
from io import BytesIO
from typing import Any

import pytest
import segno
from hypothesis import given, settings
from hypothesis import strategies as st
from reportlab.pdfgen.canvas import Canvas

from creditgate.credit_report import (
    CreditReport,
    ReportItem,
    ReportPeriod,
    ReportRecord,
    ReportRequester,
    proof_text,
)
from creditgate.v1.disclosure_proof_pb2 import DisclosureProof
from gateway.reports.pdf import pdf_of
from gateway.reports.qr import QrCode
from tests.clock import NOW
from tests.examples import examples
from tests.people import COMPANY
from tests.reports.printed import text_of_pdf

DOCUMENT = "e30.e30.e30"
STATUS = f"https://gateway.example.org/reports/{NOW:010x}-{'0' * 24}/23456789ABCD"
PENALTY = "penalty.administrative"


def report(*contents: dict[str, Any], **changes: Any) -> CreditReport:
    """Return a report of records with these contents."""
    usual: dict[str, Any] = {
        "iss": "https://gateway.example.org",
        "iat": NOW,
        "exp": NOW + 86_400,
        "schema_version": "1",
        "report": f"reports/{NOW:010x}-{'0' * 24}",
        "check_code": "23456789ABCD",
        "status_url": STATUS,
        "requester": ReportRequester(kind="OPERATOR", operator_id="alpha", name="示例机构（虚构）"),
        "subject": COMPANY,
        "items": (
            item(PENALTY, "行政处罚信息", len(contents)),
            item("list.serious-dishonesty", "严重失信主体名单", 0),
        ),
        "served_at": NOW,
        "disclosure_sequence": 1,
        "records": tuple(record(number, content) for number, content in enumerate(contents)),
        "proof": proof_text(DisclosureProof(checkpoint="example.org/log\n31\nAAAA=\n\n— x y\n")),
    }
    return CreditReport(**usual | changes)


def item(code: str, name: str, records: int) -> ReportItem:
    """Return an item that a report is about."""
    return ReportItem(item=code, name_zh=name, name_en="Item", openness="PUBLIC", records=records)


def record(number: int, content: dict[str, Any]) -> ReportRecord:
    """Return a record that a report states."""
    text = json.dumps(content, ensure_ascii=False)
    return ReportRecord(
        record=f"records/r-{number}",
        revision=1,
        item=PENALTY,
        source="示例市场监督管理局（虚构）",
        region="330100",
        severity="SERIOUS",
        content=text,
        content_digest=sha256(text.encode()).hexdigest(),
        disclosed_from=NOW,
        event_sequence=1,
    )


def printed(printing: CreditReport) -> str:
    """Return what a report says, without its line breaks."""
    return text_of_pdf(pdf_of(printing, DOCUMENT)).replace("\n", "")


def test_it_tells_all_that_the_document_states() -> None:
    text = printed(
        report(
            {"violation": "未按期公示年度报告（虚构）", "fine_fen": 1_234_567, "kept": False},
            recipient="示例采购中心（虚构）",
            purpose="BIDDING",
            withheld=2,
            outside_period=3,
            period=ReportPeriod.model_validate({"from": NOW - 86_400}),
        )
    )
    for told in (
        "专项信用报告",
        COMPANY,
        "示例机构（虚构）（alpha）",
        "示例采购中心（虚构）",
        "招标投标",
        "未查到公示记录",
        "违法行为类型",
        "未按期公示年度报告（虚构）",
        "12,345.67 元",
        "严重",
        "长期",
        "另有 3 条记录",
        "另有 2 条记录",
        "23456789ABCD",
        STATUS,
        sha256(DOCUMENT.encode()).hexdigest(),
        "31 AAAA=",
    ):
        assert told in text, told


def test_it_is_the_same_each_time() -> None:
    assert pdf_of(report({"violation": "x"}), DOCUMENT) == pdf_of(
        report({"violation": "x"}), DOCUMENT
    )


def test_a_subjects_own_report_says_so_and_names_the_company_where_its_registration_is_in_it() -> (
    None
):
    registered = record(0, {"name": "示例公司（虚构）"}).model_copy(
        update={"item": "registration.enterprise"}
    )
    text = printed(
        report(
            requester=ReportRequester(kind="SUBJECT"),
            items=(item("registration.enterprise", "企业登记信息", 1),),
            records=(registered,),
        )
    )
    assert "信用主体本人" in text
    assert "信用主体示例公司（虚构）" in text


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("<b>&amp;</b>", "<b>&amp;</b>"),
        ("Société générale, ñandú", "Société générale, ñandú"),
        ("𠮷", "〔U+20BB7〕"),
        ("☺", "〔U+263A〕"),
        ("堃", "堃"),
        ("\x07", "〔U+0007〕"),
    ],
)
def test_no_character_is_lost_or_taken_for_markup(told: str, shown: str) -> None:
    assert shown in printed(report({"violation": told}))


@settings(max_examples=examples(60))
@given(st.dictionaries(st.text(min_size=1, max_size=30), st.text(max_size=300), max_size=4))
def test_any_content_can_be_printed(content: dict[str, str]) -> None:
    assert pdf_of(report(content), DOCUMENT).startswith(b"%PDF-")


@pytest.mark.parametrize("length", [4_000, 65_536])
def test_content_longer_than_a_page_goes_on_on_the_next(length: int) -> None:
    told = "".join(chr(0x4E00 + number % 500) for number in range(length))
    lines = text_of_pdf(pdf_of(report({"facts": told}), DOCUMENT)).split("\n")
    # Of each page a foot comes between.
    foot = [line for line in lines if line.startswith(("专项信用报告", "第 "))]
    assert told in "".join(line for line in lines if line not in foot)
    assert len(foot) > 2 * length / 4_000


def test_its_code_is_the_address_of_its_status() -> None:
    paper = Canvas(BytesIO(), pageCompression=0)
    QrCode(STATUS, 100).drawOn(paper, 0, 0)
    squares = re.findall(rb"([\d.]+ [\d.]+) [\d.]+ [\d.]+ re f", paper.getpdfdata())
    dark = sum(sum(map(bool, row)) for row in segno.make_qr(STATUS, error="m").matrix)
    assert len(squares) == len(set(squares)) == dark
