"""How an operator stands with its usage log is told in words, in each language."""

import pytest

from creditgate.v1.usage_service_pb2 import GetUsageCosignatureResponse
from gateway.pages.agreement_words import agreement_said

SINCE, REFUSED_FROM = 1_775_000_000, 1_776_814_400


def told(*, since: int = 0, refused_from: int = 0, due: int = 0) -> GetUsageCosignatureResponse:
    """Return what the gateway tells of an operator with 1,200 uses, 1,000 of them agreed with."""
    message = GetUsageCosignatureResponse(size=1_000, logged_size=1_200, required_size=due)
    if since:
        message.unsigned_since.seconds = since
    if refused_from:
        message.refuse_time.seconds = refused_from
    return message


@pytest.mark.parametrize(
    ("message", "tone", "said"),
    [
        (told(), "live", "all use is agreed with"),
        (told(since=SINCE), "open", "is not agreed with"),
        (told(since=SINCE, refused_from=REFUSED_FROM), "open", "records are refused from"),
        (
            told(since=SINCE, refused_from=REFUSED_FROM, due=1_150),
            "paused",
            "agree with 1,150 uses",
        ),
    ],
)
def test_what_follows_is_told_with_its_numbers(
    message: GetUsageCosignatureResponse, tone: str, said: str
) -> None:
    english = agreement_said(message, "en")
    chinese = agreement_said(message, "zh")
    assert (english.agreed, english.logged) == ("1,000", "1,200")
    assert english.tone == chinese.tone == tone
    assert said in english.told
    assert english.refused == (tone == "paused")
    assert ("确认" in chinese.told) and ("cosign" in chinese.told) == bool(
        message.HasField("refuse_time")
    )
