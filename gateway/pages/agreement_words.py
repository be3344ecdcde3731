"""Agreement with use (用量确认) in words: how far an operator has agreed with its usage log."""

from typing import Literal, NamedTuple

from creditgate.v1 import usage_service_pb2 as pb
from gateway.pages.moments import moment
from gateway.pages.rendering import Language
from gateway.pages.words import said


class Agreement(NamedTuple):
    """Uses agreed with and logged, what follows in words, and how that is to be shown."""

    agreed: str
    logged: str
    told: str
    tone: Literal["live", "open", "paused"]

    @property
    def refused(self) -> bool:
        """Whether the operator is refused records until it agrees."""
        return self.tone == "paused"


def agreement_said(told: pb.GetUsageCosignatureResponse, language: Language) -> Agreement:
    """Return how an operator stands with its usage log, as the page tells it."""
    tone: Literal["live", "open", "paused"] = "open"
    since = moment(told.unsigned_since.seconds, language)
    if told.required_size:
        tone = "paused"
        words = (
            f"自 {since} 起的用量尚未确认，已停止提供记录；确认至第 {told.required_size:,} 笔后"
            "一秒内恢复：creditgate usage cosign",
            f"use since {since} is not agreed with, so records are refused; agree with"
            f" {told.required_size:,} uses and they are given again within a second:"
            " creditgate usage cosign",
        )
    elif not told.HasField("unsigned_since"):
        tone = "live"
        words = ("用量均已确认", "all use is agreed with")
    elif told.HasField("refuse_time"):
        due = moment(told.refuse_time.seconds, language)
        words = (
            f"自 {since} 起的用量尚未确认；如未确认，{due} 起停止提供记录：creditgate usage cosign",
            f"use since {since} is not agreed with; records are refused from {due} on unless it is:"
            " creditgate usage cosign",
        )
    else:
        words = (f"自 {since} 起的用量尚未确认", f"use since {since} is not agreed with")
    return Agreement(f"{told.size:,}", f"{told.logged_size:,}", said(language, words), tone)
