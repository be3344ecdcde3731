"""A report for people: a PDF made from the document alone, the same each time.

Its text can be selected, searched and read aloud; its QR code leads to the report's status.
"""

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Final

from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Spacer, Table

from creditgate.credit_report import CreditReport, ReportRecord, proof_of
from creditgate.credit_report_proof import is_log_of
from creditgate.signed_document import KEYS_PATH
from gateway.pages.moments import moment
from gateway.pages.terms import PURPOSES
from gateway.printing.file import pdf
from gateway.printing.style import (
    QUIET,
    RECORD,
    SECTION,
    SUBTITLE,
    TITLE,
    WIDTH,
    code,
    columns,
    pairs,
    text,
)
from gateway.reports.qr import QrCode
from gateway.reports.words import FIELDS, SEVERITIES

_HEADLINE: Final = "专项信用报告"
_QR_SIDE: Final = 32 * mm
_MOST_A_ROW: Final = 1_000
_REGISTRATION: Final = "registration.enterprise"


def pdf_of(report: CreditReport, document: str) -> bytes:
    """Return the PDF of ``report``, whose characters as signed are ``document``."""
    return pdf(
        [
            *_head(report),
            *_conclusion(report),
            *_records(report),
            *_checking(report, sha256(document.encode()).hexdigest()),
        ],
        title=f"{_HEADLINE} {report.subject}",
        author=report.iss,
        subject=report.report,
        language="zh-CN",
        foot=f"{_HEADLINE}　{report.report}",
        numbered="第 {number} 页，共 {total} 页",
    )


def _head(report: CreditReport) -> Iterator[Flowable]:
    titles = [
        Spacer(1, 5 * mm),
        text(_HEADLINE, TITLE),
        text("（信用代证）Special credit report", SUBTITLE),
    ]
    top = Table(
        [["", titles, QrCode(report.status_url, _QR_SIDE)]],
        colWidths=[_QR_SIDE, WIDTH - 2 * _QR_SIDE, _QR_SIDE],
    )
    top.setStyle([("LEFTPADDING", (0, 0), (-1, -1), 0), ("RIGHTPADDING", (0, 0), (-1, -1), 0)])
    yield top
    yield Spacer(1, 3 * mm)
    rows = [
        ("报告编号", report.report),
        ("信用主体", _name(report)),
        ("统一社会信用代码", report.subject),
        ("公示期间", _period(report)),
        ("申请出具", _requester(report)),
        ("接收方", report.recipient),
        ("用途", PURPOSES[report.purpose][0] if report.purpose else ""),
        ("依据的授权", report.consent),
        ("数据时点", moment(report.served_at, "zh")),
        ("出具时间", moment(report.iat, "zh")),
        ("有效期至", moment(report.exp, "zh")),
    ]
    yield pairs([(name, text(told)) for name, told in rows if told])


def _conclusion(report: CreditReport) -> Iterator[Flowable]:
    yield text("一、报告结论", SECTION)
    yield columns(
        ("信息事项", "开放方式", "结论"),
        [
            (
                f"{each.name_zh}（{each.item}）",
                "公开" if each.openness == "PUBLIC" else "经授权",
                f"{each.records} 条记录，见第二部分" if each.records else "未查到公示记录",
            )
            for each in report.items
        ],
        (0.55, 0.15, 0.3),
    )
    yield Spacer(1, 2 * mm)
    yield from map(text, _provable(report))
    if report.outside_period:
        yield text(f"另有 {report.outside_period} 条记录的公示期不在上列公示期间内，本报告不载明。")
    if report.withheld:
        yield text(f"另有 {report.withheld} 条记录不在申请机构的许可范围内，本报告不载明。")


def _provable(report: CreditReport) -> Iterator[str]:
    """Yield what the document proves, and of which items it is the gateway's word that nothing
    was left out."""
    whole = "以上是该信用主体在上列事项内、在数据时点公示的全部信息，可用本报告的电子文件验证没有"
    opened = [each for each in report.items if each.openness != "PUBLIC"]
    if not opened:
        yield f"{whole}遗漏、没有改动。"
        return
    public = len(opened) < len(report.items)
    yield f"{whole}改动{'；公开的事项，还可验证没有遗漏' if public else ''}。"
    yield (
        f"经授权的事项（{'、'.join(each.name_zh for each in opened)}）除上列结论外再无其他记录，"
        "以出具网关的说明为准，电子文件不能证明。"
    )
    yield (
        f"Of items opened by consent ({', '.join(each.name_en for each in opened)}), that there is"
        " nothing besides is the word of the issuing gateway; the file does not prove it."
    )


def _records(report: CreditReport) -> Iterator[Flowable]:
    yield text("二、记录明细", SECTION)
    if not report.records:
        yield text("没有记录。")
    names = {each.item: each.name_zh for each in report.items}
    for number, record in enumerate(report.records, 1):
        yield text(f"{number}. {names[record.item]}", RECORD)
        yield pairs([(name, text(part)) for told in _told(record) for name, part in _parts(*told)])


def _checking(report: CreditReport, digest: str) -> Iterator[Flowable]:
    yield text("三、如何查验", SECTION)
    yield text(
        "扫描首页二维码，或打开下列网址，查看本报告现在是否有效。公示信息如有更正、修复、撤销或新增，"
        "状态随即改变；失效的报告不得再作使用。"
    )
    yield Spacer(1, 2 * mm)
    origin, size, root, *_ = (*proof_of(report.proof).checkpoint.split("\n"), "", "", "")
    yield pairs(
        [
            ("状态查询网址", code(report.status_url)),
            ("查验码", code(report.check_code)),
            ("出具网关", code(report.iss)),
            ("电子文件摘要", code(f"SHA-256 {digest}")),
            ("公示日志", code(origin)),
            ("日志检查点", code(f"{size} {root}")),
        ]
    )
    yield Spacer(1, 2 * mm)
    yield text("电子文件（.jws）可离线验证，不需要账户：", QUIET)
    yield code(_command(report, origin))
    yield text(
        f"其中 $VKEY 是日志公钥（{report.iss}/log/disclosure/key），keys.json 是网关公钥"
        f"（{report.iss}{KEYS_PATH}），均应事先取得并另行核对。"
        "本页与电子文件不一致的，以电子文件为准。",
        QUIET,
    )


def _command(report: CreditReport, origin: str) -> str:
    """Return the command that verifies the document, for whoever has it and both keys."""
    # A log keeps its name when its gateway moves: then it does not tell the issuer.
    issuer = "" if is_log_of(origin, report.iss) else f" --issuer {report.iss}"
    return f'creditgate report verify report.jws --key "$VKEY" --keys keys.json{issuer}'


def _name(report: CreditReport) -> str:
    """Return the subject's name where a record of its registration tells it."""
    for record in report.records:
        if record.item == _REGISTRATION:
            return str(json.loads(record.content).get("name", ""))
    return ""


def _period(report: CreditReport) -> str:
    start, until = report.period.start, report.period.until
    since = "" if start is None else f"自 {moment(start, 'zh')} 起"
    end = "" if until is None else f"至 {moment(until, 'zh')} 止"
    return "，".join(filter(None, (since, end)))


def _requester(report: CreditReport) -> str:
    if report.requester.kind == "SUBJECT":
        return "信用主体本人"
    return f"{report.requester.name}（{report.requester.operator_id}）"


def _told(record: ReportRecord) -> Iterator[tuple[str, str]]:
    yield "记录编号", f"{record.record.removeprefix('records/')}（第 {record.revision} 版）"
    yield "数据源单位", record.source
    yield "地区", record.region
    if record.severity:
        yield "严重程度", SEVERITIES[record.severity][0]
    until = "长期" if record.disclosed_until is None else moment(record.disclosed_until, "zh")
    yield "公示期", f"{moment(record.disclosed_from, 'zh')} 至 {until}"
    for name, value in json.loads(record.content).items():
        yield FIELDS.get(name, (name, name))[0], _value(name, value)
    if record.served_fields:
        yield "说明", "依授权只载明部分内容。"


def _parts(name: str, told: str) -> Iterator[tuple[str, str]]:
    """Yield what is told in parts of a bounded length: breaking a long one takes long."""
    yield name, told[:_MOST_A_ROW]
    for start in range(_MOST_A_ROW, len(told), _MOST_A_ROW):
        yield "", told[start : start + _MOST_A_ROW]


def _value(name: str, value: Any) -> str:
    """Return a member of content as people read it."""
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, int) and name.endswith("_fen"):
        sign, fen = "-" if value < 0 else "", abs(value)
        return f"{sign}{fen // 100:,}.{fen % 100:02} 元"
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    return "" if value is None else str(value)
