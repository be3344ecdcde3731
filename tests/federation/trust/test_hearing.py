"""News are believed when the anchor signed them, and for a lease from when they were asked for."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.federation.trust.hearing import Ask, Hearing
from gateway.federation.trust.news import NEWS_TYPE, News, news_claims, verified_news
from gateway.federation.trust.statement import StatementInvalid
from tests.clock import NOW, StandingClock
from tests.federation.trust.signing import ANCHOR, KEYS, LEAF, TRUST, new_key
from tests.installation import eventually

LEASE = 10.0


def news(number: int = 1, issued_at: int = NOW) -> News:
    return News(number, issued_at, {}, {}, "")


class Watch:
    """A monotonic clock that is set."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


def hearing(
    watch: Watch,
    clock: StandingClock,
    sources: Callable[[], Sequence[Ask[News]]] = tuple,
    changed: Callable[[], None] = lambda: None,
) -> Hearing[News]:
    return Hearing[News](
        "test", sources, lease_seconds=LEASE, clock=clock, monotonic=watch, changed=changed
    )


def heard(what: Hearing[News]) -> bool:
    try:
        what.current()
    except Refused as refused:
        assert refused.reason == RefusalReason.REFUSAL_REASON_FEDERATION_UNKNOWN
        assert refused.retry_after
        return False
    return True


def test_what_was_not_heard_within_the_lease_is_not_known() -> None:
    watch = Watch()
    listening = hearing(watch, StandingClock())
    assert not heard(listening)
    listening.take(news(), 100.0)
    watch.at = 109.99
    assert heard(listening)
    watch.at = 110.0
    assert not heard(listening)


def test_the_lease_counts_from_the_question_not_from_the_answer() -> None:
    watch = Watch()
    listening = hearing(watch, StandingClock())
    watch.at = 108.0
    listening.take(news(), 100.0)
    watch.at = 110.0
    assert not heard(listening)


def test_an_old_copy_that_somebody_hands_on_keeps_nothing_alive() -> None:
    watch, clock = Watch(), StandingClock()
    listening = hearing(watch, clock)
    clock.at = NOW + 9
    listening.take(news(issued_at=NOW), 100.0)
    watch.at = 100.9
    assert heard(listening)
    watch.at = 101.0
    assert not heard(listening)
    clock.at = NOW + 20
    listening.take(news(issued_at=NOW), 101.0)
    assert not heard(listening)


def test_what_is_older_than_what_was_heard_is_refused() -> None:
    told: list[int] = []
    listening = hearing(Watch(), StandingClock(), changed=lambda: told.append(1))
    listening.take(news(5), 100.0)
    listening.take(news(5), 100.0)
    with pytest.raises(ValueError, match="older"):
        listening.take(news(4), 100.0)
    assert listening.current().number == 5
    listening.take(news(6), 100.0)
    assert len(told) == 2


async def test_the_next_source_is_asked_where_one_says_nothing() -> None:
    asked: list[str] = []

    def source(name: str, answer: News | None) -> Ask[News]:
        async def ask(known: int, wait: int) -> News:
            asked.append(name)
            await asyncio.sleep(0)
            if answer is None:
                raise OSError
            assert (known, wait) == (-1, 3)
            return answer

        return ask

    listening = hearing(
        Watch(), StandingClock(), lambda: (source("anchor", None), source("peer", news()))
    )
    listening.start()

    async def known() -> bool:
        return heard(listening)

    await eventually(known)
    await listening.stop()
    assert asked[:2] == ["anchor", "peer"]


async def test_why_nothing_is_believed_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    by_another = new_key().sign(news_claims(ANCHOR, NOW, 3, {LEAF: 2}, {}), NEWS_TYPE)

    async def ask(_known: int, _wait: int) -> News:
        await asyncio.sleep(0)
        return verified_news(by_another, TRUST, TRUST.keys, NOW)

    listening = hearing(Watch(), StandingClock(), lambda: (ask,))
    listening.start()

    async def told() -> bool:
        return "UnknownSigner" in caplog.text

    await eventually(told)
    await listening.stop()


def signed(**more: Any) -> str:
    claims = {**news_claims(ANCHOR, NOW, 3, {LEAF: 2}, {}), **more}
    return KEYS[ANCHOR].sign(claims, NEWS_TYPE)


def test_news_tell_who_stands_and_by_which_revision() -> None:
    told = verified_news(signed(), TRUST, TRUST.keys, NOW)
    assert told.stands(LEAF, 2)
    assert told.stands(LEAF, 3)
    assert not told.stands(LEAF, 1)
    assert not told.stands(ANCHOR, 9)
    cut = verified_news(signed(cut_off={LEAF: NOW}), TRUST, TRUST.keys, NOW)
    assert not cut.stands(LEAF, 9)


def test_news_that_the_anchor_did_not_sign_so_are_not_believed() -> None:
    other = new_key()
    for text, keys in [
        (other.sign(news_claims(ANCHOR, NOW, 3, {}, {}), NEWS_TYPE), TRUST.keys),
        (KEYS[ANCHOR].sign(news_claims(ANCHOR, NOW, 3, {}, {}), "JWT"), TRUST.keys),
        (signed(), other.jwks),
        (signed(iss=LEAF), TRUST.keys),
        (signed(iat=NOW + 11), TRUST.keys),
        (signed(number=-1), TRUST.keys),
        (signed(cut_off=[LEAF]), TRUST.keys),
    ]:
        with pytest.raises(StatementInvalid):
            verified_news(text, TRUST, keys, NOW)
