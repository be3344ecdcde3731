"""Alerts in words: what is unusual, and its numbers."""

from collections.abc import Mapping
from typing import Final

from creditgate.v1.alert_service_pb2 import Alert, AlertKind
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.pages.rendering import Language
from gateway.pages.terms import PURPOSES
from gateway.pages.words import Words, said

_KINDS: Final[Mapping[int, Words]] = {
    AlertKind.ALERT_KIND_SWEEP: ("批量遍历主体", "Sweep over subjects"),
    AlertKind.ALERT_KIND_PURPOSE_DRIFT: ("用途漂移", "Drift of purpose"),
    AlertKind.ALERT_KIND_OUT_OF_HOURS: ("非工作时间批量查询", "Bulk out of hours"),
    AlertKind.ALERT_KIND_GROWTH: ("用量突增", "Sudden growth"),
    AlertKind.ALERT_KIND_UNACKNOWLEDGED: ("大量交付未确认", "Deliveries not acknowledged"),
    AlertKind.ALERT_KIND_SPLIT_VIEW: ("日志分叉视图", "Split view of a log"),
    AlertKind.ALERT_KIND_UNSIGNED_USAGE: ("用量逾期未确认", "Use not agreed with in time"),
    AlertKind.ALERT_KIND_ASKED_SWEEP: ("大量查询主体", "Sweep of questions"),
    AlertKind.ALERT_KIND_CLEARING_DISPUTE: ("地区清算争议", "Disputes in clearing"),
    AlertKind.ALERT_KIND_CLEARING_OVERDUE: ("地区清算逾期", "Clearing overdue"),
    AlertKind.ALERT_KIND_CLEARING_CONCESSION: ("让步版本被更改", "Conceded version changed"),
    AlertKind.ALERT_KIND_CLEARING_AMOUNT: ("清算金额未确认", "Amount not signed in clearing"),
    AlertKind.ALERT_KIND_FALSE_DIRECTORY: ("目录遗漏主体", "False directory of a region"),
    AlertKind.ALERT_KIND_OWED_NOT_GIVEN: ("未交付计费", "Charged and not given"),
    AlertKind.ALERT_KIND_CLEARING_PLAN: ("新包月或保底资费", "New flat fee or minimum"),
}
_RECORDS: Final[Words] = (
    "{counted} 条记录，达到 {threshold} 即提示",
    "{counted} records; told from {threshold} on",
)
_COUNTED: Final[Mapping[int, Words]] = {
    AlertKind.ALERT_KIND_SWEEP: (
        "约 {counted} 个不同主体，达到 {threshold} 即提示",
        "about {counted} different subjects; told from {threshold} on",
    ),
    AlertKind.ALERT_KIND_SPLIT_VIEW: (
        "{counted} 个未处理的分叉视图：该地区日志所证明的内容暂不采信",
        "{counted} split views not cleared: nothing that region's log proves is believed",
    ),
    AlertKind.ALERT_KIND_UNSIGNED_USAGE: (
        "最早一笔未确认的用量已过 {counted} 小时，达到 {threshold} 小时即提示；再不确认将停止查询",
        "the oldest use not agreed with is {counted} hours old, told from {threshold} on; answers"
        " are refused later unless it is agreed with",
    ),
    AlertKind.ALERT_KIND_ASKED_SWEEP: (
        "查询 {counted} 个主体，远超以往或几乎均无记录，达到 {threshold} 即提示",
        "{counted} subjects asked about, many more than before or hardly any with records; told"
        " from {threshold} on",
    ),
    AlertKind.ALERT_KIND_CLEARING_DISPUTE: (
        "{counted} 笔地区间用量两地账目不一致，未计入清算",
        "{counted} uses between regions that the two ledgers do not agree on, left out",
    ),
    AlertKind.ALERT_KIND_CLEARING_OVERDUE: (
        "账期结束 {counted} 秒后仍未与该地区完成清算，超过 {threshold} 秒即提示",
        "not cleared {counted} seconds after the period ended; told from {threshold} on",
    ),
    AlertKind.ALERT_KIND_CLEARING_CONCESSION: (
        "{counted} 笔争议用量：对方地区更改了我方已让步的版本，让步不再有效，请重新处理",
        "{counted} disputed uses whose version the other region changed after it was conceded;"
        " the concessions hold no more: say anew what stands",
    ),
    AlertKind.ALERT_KIND_CLEARING_AMOUNT: (
        "对方地区主张 {counted} 微元，我方认可 {threshold} 微元：未签署",
        "the region claims {counted} micro-yuan, {threshold} are accepted: not signed",
    ),
    AlertKind.ALERT_KIND_FALSE_DIRECTORY: (
        "该地区的主体目录遗漏了其已披露记录的主体：31 日内不再采信其目录",
        "the region's directory denied a company of which it proved an older record: its"
        " directories are relied on no more for 31 days",
    ),
    AlertKind.ALERT_KIND_OWED_NOT_GIVEN: (
        "该地区当日计费的 {counted} 条记录未交付任何经营主体，达到 {threshold} 即提示",
        "{counted} records that the region charged that day and no operator was given; told from"
        " {threshold} on",
    ),
    AlertKind.ALERT_KIND_CLEARING_PLAN: (
        "对方地区首次告知的资费方案含包月费或保底费，每月 {counted} 微元；如不接受，请设定上限",
        "a plan that the region told of for the first time has a flat fee or minimum of {counted}"
        " micro-yuan a month; set a ceiling where that is not accepted",
    ),
}


def kind_said(alert: Alert, language: Language) -> str:
    """Return what is unusual, with the purpose it is about if it is about one."""
    kind = said(language, _KINDS[alert.kind])
    if alert.purpose:
        purpose = Purpose.Name(alert.purpose).removeprefix("PURPOSE_")
        kind += said(language, ("：", ": ")) + said(language, PURPOSES[purpose])
    return kind


def numbers_said(alert: Alert, language: Language) -> str:
    """Return how much was counted, and from how much on it is unusual."""
    words = said(language, _COUNTED.get(alert.kind, _RECORDS))
    return words.format(counted=f"{alert.counted:,}", threshold=f"{alert.threshold:,}")
