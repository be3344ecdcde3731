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
