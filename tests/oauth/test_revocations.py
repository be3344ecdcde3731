"""The log of revocations: what was revoked is known everywhere for as long as it matters (G4)."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sqlalchemy import Engine, func, select

from gateway.config import GatewayConfig
from gateway.oauth.revocation_log import SqlRevocationLog, append_revocations
from gateway.oauth.revocations import (
    CLOCK_SECONDS,
    MOST_TOKEN_SECONDS,
    LoggedRevocation,
    Revocation,
    RevocationBook,
    revocable,
)
from gateway.oauth.tables import REVOCATION
from gateway.storage.engines import Engines
from tests.authority.following import LONG_POLL, append, following, until
from tests.operators.things import operator
from tests.stores import PostgresStores, engines_of

NOW = 1_800_000_000
_KINDS = st.sampled_from(["token", "grant"])
_REVOCATIONS = st.builds(
    Revocation, _KINDS, st.sampled_from(["a", "b", "c"]), st.integers(NOW - 50, NOW + 50)
)


def logged(revocations: Sequence[Revocation], after: int = 0) -> list[LoggedRevocation]:
    """Return revocations as a log gives them."""
    return [LoggedRevocation(number, each) for number, each in enumerate(revocations, after + 1)]


@given(batches=st.lists(st.lists(_REVOCATIONS, max_size=6), max_size=4))
def test_a_book_refuses_all_that_was_revoked_and_has_not_expired(
    batches: list[list[Revocation]],
) -> None:
    book = RevocationBook.empty()
    for number, batch in enumerate(batches):
        book = book.advanced(logged(batch, book.sequence), NOW + 10 * number)
    now = NOW + 10 * (len(batches) - 1)
    revoked = {
        revocable(each.kind, each.id)
        for batch in batches
        for each in batch
        if each.expires_at > now
    }
    assert all(not book.allows(frozenset({name})) for name in revoked)
    assert book.sequence == sum(map(len, batches))


@given(revocations=st.lists(_REVOCATIONS))
def test_a_book_allows_all_that_was_not_revoked(revocations: list[Revocation]) -> None:
    book = RevocationBook.empty().advanced(logged(revocations), NOW)
    named = {revocable(each.kind, each.id) for each in revocations}
    others = {revocable(kind, id_) for kind in ("token", "grant") for id_ in "abcd"} - named
    assert book.allows(frozenset(others))


def test_a_book_forgets_what_has_expired_before_long() -> None:
    book = RevocationBook.empty()
    for second in range(0, 600, 5):
        news = logged([Revocation("token", str(second), NOW + second + 5)], after=book.sequence)
        book = book.advanced(news, NOW + second)
        assert book.advanced([], NOW + second) is book
        assert len(book.names) <= 1 + 60 // 5
    assert not book.allows(frozenset({"token:595"}))


def test_an_earlier_end_shortens_no_revocation() -> None:
    twice = [Revocation("grant", "a", NOW + 50), Revocation("grant", "a", NOW + 5)]
    book = RevocationBook.empty().advanced(logged(twice), NOW)
    news = logged([Revocation("token", "b", NOW + 60)], after=2)
    assert not book.advanced(news, NOW + 6).allows(frozenset({"grant:a"}))


def test_a_revocation_lasts_as_long_as_what_it_stops() -> None:
    token = Revocation.of_token("a", NOW + 100)
    grant = Revocation.of_grant("a", NOW)
    assert token.expires_at == NOW + 100 + CLOCK_SECONDS
    assert grant.expires_at == NOW + MOST_TOKEN_SECONDS + CLOCK_SECONDS


def test_no_configured_token_outlives_the_revocation_of_its_grant() -> None:
    assert GatewayConfig(token_seconds=MOST_TOKEN_SECONDS).token_seconds == MOST_TOKEN_SECONDS
    with pytest.raises(ValidationError, match="token_seconds"):
        GatewayConfig(token_seconds=MOST_TOKEN_SECONDS + 1)


def test_every_process_reads_the_same_revocations_in_order(
    store: tuple[str, Path], engines: Engines
) -> None:
    first, second = Revocation("token", "a", NOW + 5), Revocation("grant", "b", NOW + 9)
    with engines_of(*store) as others:
        SqlRevocationLog(engines.authority).append([first], NOW)
        SqlRevocationLog(others.authority).append([second], NOW)
        for engine in (engines.authority, others.authority):
            assert list(SqlRevocationLog(engine).since(0)) == logged([first, second])
            assert list(SqlRevocationLog(engine).since(1)) == logged([second], after=1)


def test_no_sequence_comes_twice_though_the_expired_are_swept(authority_engine: Engine) -> None:
    log = SqlRevocationLog(authority_engine)
    log.append([Revocation("token", name, NOW + 1) for name in "abc"], NOW)
    log.append([Revocation("token", "d", NOW + 50)], NOW + 10)
    log.append([Revocation("token", "e", NOW + 60)], NOW + 70)
    log.append([Revocation("token", "f", NOW + 99)], NOW + 70)
    assert [(each.sequence, each.revocation.id) for each in log.since(0)] == [(5, "e"), (6, "f")]


def test_a_revocation_falls_with_the_transaction_it_was_made_in(authority_engine: Engine) -> None:
    with pytest.raises(ZeroDivisionError), authority_engine.begin() as connection:
        append_revocations(connection, [Revocation("grant", "a", NOW + 5)], NOW)
        raise ZeroDivisionError
    with authority_engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(REVOCATION)).scalar_one() == 0


def test_a_follower_misses_none_of_many_writers(store: tuple[str, Path], engines: Engines) -> None:
    followed = SqlRevocationLog(engines.authority)
    seen: list[LoggedRevocation] = []
    with engines_of(*store) as others, ThreadPoolExecutor(4) as pool:
        log = SqlRevocationLog(others.authority)
        writing = [
            pool.submit(log.append, [Revocation("token", str(number), NOW + 5)], NOW)
            for number in range(40)
        ]
        while not all(each.done() for each in writing):
            seen += followed.since(seen[-1].sequence if seen else 0)
        for each in writing:
            each.result()
    seen += followed.since(seen[-1].sequence if seen else 0)
    assert {each.revocation.id for each in seen} == {str(number) for number in range(40)}
    assert [each.sequence for each in seen] == list(range(1, 41))


async def test_a_revocation_through_another_engine_acts_within_a_second(
    store: tuple[str, Path], engines: Engines
) -> None:
    append(engines.authority, operator())
    with engines_of(*store) as others:
        log = SqlRevocationLog(others.authority)
        async with following(engines.authority) as feed:
            before = feed.current()
            for number in range(8):
                name = revocable("token", str(number))
                log.append([Revocation("token", str(number), int(time.time()) + 50)], NOW)
                durable = time.monotonic()
                await until(
                    lambda name=name: not feed.current().revocations.allows(frozenset({name}))
                )
                assert time.monotonic() < durable + 1.0
            assert feed.current() is not before
            assert not before.revocations.names


async def test_a_revocation_ends_what_was_decided_for_its_token_alone(
    authority_engine: Engine,
) -> None:
    """Nobody can hold up the calls of others by revoking: what they were told still stands."""
    append(authority_engine, operator())
    async with following(authority_engine) as feed:
        view = feed.current()
        revocation = Revocation("token", "mine", int(time.time()) + 50)
        SqlRevocationLog(authority_engine).append([revocation], NOW)
        await until(lambda: feed.current() is not view)
        assert feed.current().decides_as(view)
        assert not feed.holds(view, frozenset({"token:mine"}))
        assert feed.holds(view, frozenset({"token:theirs"}))
        append(authority_engine, operator(), version=1)
        await until(lambda: not feed.current().decides_as(view))
        assert not feed.holds(view, frozenset({"token:theirs"}))
        assert not feed.current().revocations.allows(frozenset({"token:mine"}))


async def test_postgresql_tells_of_a_revocation_long_before_the_poll(
    postgres_stores: PostgresStores,
) -> None:
    with postgres_stores.database() as store, engines_of(*store) as engines:
        async with following(engines.authority, poll=LONG_POLL, lease=60) as feed:
            # Listening, it rings once: what follows is news by the bell alone.
            await asyncio.sleep(0.5)
            revocation = Revocation("token", "mine", int(time.time()) + 50)
            await asyncio.to_thread(SqlRevocationLog(engines.authority).append, [revocation], NOW)
            await until(lambda: not feed.current().revocations.allows(frozenset({"token:mine"})), 5)


async def test_revocations_are_read_before_anything_is_answered(authority_engine: Engine) -> None:
    revocation = Revocation("token", "mine", int(time.time()) + 50)
    SqlRevocationLog(authority_engine).append([revocation], NOW)
    async with following(authority_engine) as feed:
        assert not feed.current().revocations.allows(frozenset({"token:mine"}))
