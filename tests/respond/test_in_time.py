"""Answers leave soon after they were judged, or not at all."""

from typing import Final

import pytest

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.clock import host_nanoseconds
from gateway.respond.in_time import MOST_SECONDS, gone_out, keep_judged, require_in_time

_MOST: Final = MOST_SECONDS * 1_000_000_000


def test_what_was_judged_just_now_may_leave() -> None:
    keep_judged(host_nanoseconds() - _MOST // 2)
    require_in_time()


def test_what_was_judged_too_long_ago_may_not_and_is_to_be_asked_for_again() -> None:
    keep_judged(host_nanoseconds() - _MOST - 1_000_000)
    with pytest.raises(Refused) as refused:
        require_in_time()
    assert refused.value.reason == RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE
    assert refused.value.retry_after


def test_what_follows_an_answer_on_a_stream_is_not_held_to_it() -> None:
    keep_judged(host_nanoseconds() - _MOST - 1_000_000)
    gone_out()
    require_in_time()
