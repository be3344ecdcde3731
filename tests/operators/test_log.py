"""The authority log: one behaviour on both stores (G4, G7, G12)."""

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import IntegrityError

from creditgate.refusal import Refused, reason_name
from gateway.storage.engines import Engines
from operators.log import Change, Draft
from operators.sql import SqlAuthorityLog
from tests.examples import examples
from tests.stores import engines_of

WRITERS = 4


@pytest.fixture
def log(authority_engine: Engine) -> SqlAuthorityLog:
    """An empty log."""
    return SqlAuthorityLog(authority_engine)


@pytest.fixture
def other_log(store: tuple[str, Path], engines: Engines) -> Iterator[SqlAuthorityLog]:
    """The same log through another engine, as another process has it."""
    del engines
    with engines_of(*store) as opened:
        yield SqlAuthorityLog(opened.authority)


def write(log: SqlAuthorityLog, *drafts: Draft, reason: str = "test") -> tuple[Change, ...]:
    """Append as the office at instant 5."""
    return log.append(drafts, changed_by="office", changed_at=5, reason=reason)


def refusal(log: SqlAuthorityLog, *drafts: Draft) -> str:
    """Return why an append is refused."""
    with pytest.raises(Refused) as refused:
        write(log, *drafts)
    return reason_name(refused.value.reason)


def test_an_empty_log_has_nothing(log: SqlAuthorityLog) -> None:
    assert (log.head(), log.since(0), log.since(9)) == (0, (), ())
    assert log.history(kind="", id="", after=0, limit=9) == ()


def test_a_change_is_read_back_as_written(log: SqlAuthorityLog) -> None:
    document = {"名": "某某征信", "n": 1 << 60, "deep": {"list": [1, None, True, "x"], "a": {}}}
    (written,) = log.append(
        [Draft("operator", "alpha", 0, document)],
        changed_by="office-一",
        changed_at=1_800_000_000,
        reason="申请书 2025-1\nsecond line",
    )
    assert written == Change(
        1,
        "operator",
        "alpha",
        1,
        document,
        "office-一",
        1_800_000_000,
        "申请书 2025-1\nsecond line",
    )
    assert log.since(0) == (written,)


def test_versions_follow_each_other_and_all_are_kept(log: SqlAuthorityLog) -> None:
    for version in range(3):
        write(log, Draft("operator", "alpha", version, {"v": version}))
    kept = log.since(0)
    assert [(each.sequence, each.version, each.document) for each in kept] == [
        (1, 1, {"v": 0}),
        (2, 2, {"v": 1}),
        (3, 3, {"v": 2}),
    ]


def test_the_latest_instant_of_a_change_is_known_whatever_clock_wrote_last(
    log: SqlAuthorityLog,
) -> None:
    assert log.newest_changed_at() == 0
    log.append([Draft("operator", "alpha", 0, {})], changed_by="a", changed_at=9, reason="r")
    write(log, Draft("operator", "beta", 0, {}))
    assert log.newest_changed_at() == 9


def test_several_drafts_are_one_change_of_the_log(log: SqlAuthorityLog) -> None:
    written = write(
        log,
        Draft("operator", "alpha", 0, {}),
        Draft("licence", "alpha", 0, {}),
        Draft("operator", "alpha", 1, {"again": 1}),
    )
    assert [(each.sequence, each.kind, each.version) for each in written] == [
        (1, "operator", 1),
        (2, "licence", 1),
        (3, "operator", 2),
    ]
    assert log.since(0) == written
    assert (log.since(2), log.head()) == (written[2:], 3)


def test_a_thing_cannot_be_created_twice(log: SqlAuthorityLog) -> None:
    write(log, Draft("operator", "alpha", 0, {}))
    assert refusal(log, Draft("operator", "alpha", 0, {})) == "RESOURCE_EXISTS"
    write(log, Draft("licence", "alpha", 0, {}))


@pytest.mark.parametrize("expected", [1, 3, 99])
def test_a_thing_changed_meanwhile_is_not_overwritten(log: SqlAuthorityLog, expected: int) -> None:
    write(log, Draft("operator", "alpha", 0, {}))
    write(log, Draft("operator", "alpha", 1, {}))
    assert refusal(log, Draft("operator", "alpha", expected, {})) == "ETAG_MISMATCH"


def test_a_thing_that_is_not_there_cannot_be_changed(log: SqlAuthorityLog) -> None:
    assert refusal(log, Draft("operator", "alpha", 1, {})) == "ETAG_MISMATCH"


def test_all_drafts_are_written_or_none(log: SqlAuthorityLog) -> None:
    write(log, Draft("operator", "alpha", 0, {}))
    fresh = Draft("operator", "beta", 0, {})
    assert refusal(log, fresh, Draft("operator", "alpha", 0, {})) == "RESOURCE_EXISTS"
    assert refusal(log, fresh, fresh) == "RESOURCE_EXISTS"
    with pytest.raises(TypeError):
        write(log, fresh, Draft("operator", "gamma", 0, {"no JSON": object()}))
    assert log.head() == 1
    assert [each.sequence for each in write(log, fresh)] == [2]


def test_things_of_one_id_and_other_kinds_have_versions_of_their_own(log: SqlAuthorityLog) -> None:
    write(log, Draft("operator", "alpha", 0, {"n": 1}))
    write(log, Draft("operator", "alpha", 1, {"n": 2}), Draft("licence", "beta", 0, {}))
    written = write(
        log,
        Draft("operator", "alpha", 2, {"n": 3}),
        Draft("licence", "alpha", 0, {}),
        Draft("operator", "beta", 0, {}),
        Draft("licence", "beta", 1, {}),
    )
    assert [change.version for change in written] == [3, 1, 1, 2]


def test_many_things_are_asked_for_at_once(authority_engine: Engine, log: SqlAuthorityLog) -> None:
    asked: list[str] = []

    @event.listens_for(authority_engine, "before_cursor_execute")
    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    write(log, Draft("item", "first", 0, {}))
    of_one = len(asked)
    asked.clear()
    write(log, *(Draft("item", f"item-{number}", 0, {}) for number in range(100)))
    assert len(asked) == of_one


def test_history_narrows_and_pages(log: SqlAuthorityLog) -> None:
    drafts = [
        Draft(kind, id_, version, {})
        for version in range(2)
        for kind in ("operator", "licence")
        for id_ in ("alpha", "beta")
    ]
    write(log, *drafts)

    def sequences(kind: str, id_: str, after: int = 0, limit: int = 9) -> list[int]:
        page = log.history(kind=kind, id=id_, after=after, limit=limit)
        return [change.sequence for change in page]

    assert sequences("", "") == [1, 2, 3, 4, 5, 6, 7, 8]
    assert sequences("licence", "") == [3, 4, 7, 8]
    assert sequences("licence", "beta") == [4, 8]
    assert sequences("", "alpha") == [1, 3, 5, 7]
    assert sequences("", "alpha", limit=2) == [1, 3]
    assert sequences("", "alpha", after=3, limit=2) == [5, 7]
    assert sequences("operator", "gamma") == []


IDS = st.sampled_from(["a", "b", "c"])
APPENDS = st.lists(
    st.lists(st.tuples(IDS, st.integers(0, 3)), min_size=1, max_size=3), min_size=1, max_size=8
)
KINDS = count()


@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(appends=APPENDS)
def test_any_appends_leave_what_a_table_of_versions_says(
    log: SqlAuthorityLog, appends: list[list[tuple[str, int]]]
) -> None:
    kind = f"kind-{next(KINDS)}"
    head = log.head()
    versions: dict[str, int] = {}
    for append in appends:
        after = dict(versions)
        expected_refusal = None
        for id_, expected in append:
            if after.get(id_, 0) != expected:
                expected_refusal = "ETAG_MISMATCH" if expected else "RESOURCE_EXISTS"
                break
            after[id_] = expected + 1
        drafts = [Draft(kind, id_, expected, {"n": expected}) for id_, expected in append]
        if expected_refusal is None:
            write(log, *drafts)
            versions = after
            head += len(drafts)
        else:
            assert refusal(log, *drafts) == expected_refusal
        assert log.head() == head
    newest = {each.id: each.version for each in log.history(kind=kind, id="", after=0, limit=99)}
    assert newest == versions


def test_another_engine_sees_an_append_at_once(
    log: SqlAuthorityLog, other_log: SqlAuthorityLog
) -> None:
    for number in range(5):
        written = write(log, Draft("operator", f"o-{number}", 0, {}))
        assert other_log.since(number) == written
        assert other_log.head() == number + 1


def test_appends_of_threads_and_engines_are_dense_and_in_order_of_commit(
    log: SqlAuthorityLog, other_log: SqlAuthorityLog
) -> None:
    """Whoever follows the log by the last sequence it saw misses nothing."""
    appends = 15
    writing = threading.Event()
    followed: dict[int, list[Change]] = {0: [], 1: []}

    def append(writer: int) -> None:
        chosen = (log, other_log)[writer % 2]
        for number in range(appends):
            write(chosen, *[Draft("thing", f"{writer}-{number}-{k}", 0, {}) for k in range(2)])

    def follow(number: int) -> None:
        seen = followed[number]
        while True:
            ended = not writing.is_set()
            news = (log, other_log)[number].since(seen[-1].sequence if seen else 0)
            seen.extend(news)
            if ended and not news:
                return

    writing.set()
    with ThreadPoolExecutor(WRITERS + 2) as threads:
        followers = [threads.submit(follow, number) for number in followed]
        for done in [threads.submit(append, writer) for writer in range(WRITERS)]:
            done.result()
        writing.clear()
        for follower in followers:
            follower.result()
    whole = log.since(0)
    assert [each.sequence for each in whole] == list(range(1, WRITERS * appends * 2 + 1))
    assert tuple(followed[0]) == tuple(followed[1]) == whole
    # Drafts of one append stand together.
    pairs = zip(whole[::2], whole[1::2], strict=True)
    assert all(a.id[:-2] == b.id[:-2] for a, b in pairs)


def test_of_writers_that_change_one_thing_at_once_one_wins_each_version(
    log: SqlAuthorityLog, other_log: SqlAuthorityLog
) -> None:
    write(log, Draft("operator", "alpha", 0, {"total": 0}))
    rises = 8

    def rise(writer: int) -> int:
        """Add 1 to the total ``rises`` times, reading again when another was first."""
        chosen, lost = (log, other_log)[writer % 2], 0
        for _ in range(rises):
            while True:
                newest = chosen.since(0)[-1]
                total: Any = newest.document["total"]
                try:
                    write(chosen, Draft("operator", "alpha", newest.version, {"total": total + 1}))
                    break
                except Refused as refused:
                    assert reason_name(refused.reason) == "ETAG_MISMATCH"
                    lost += 1
                    time.sleep(random.uniform(0, 0.005))
        return lost

    with ThreadPoolExecutor(WRITERS) as threads:
        list(threads.map(rise, range(WRITERS)))
    changes = log.since(0)
    assert [each.version for each in changes] == list(range(1, WRITERS * rises + 2))
    assert changes[-1].document == {"total": WRITERS * rises}


def test_of_writers_that_create_one_thing_at_once_one_succeeds(
    log: SqlAuthorityLog, other_log: SqlAuthorityLog
) -> None:
    together = threading.Barrier(WRITERS)

    def create(writer: int) -> str:
        chosen = (log, other_log)[writer % 2]
        together.wait()
        try:
            write(chosen, Draft("operator", "alpha", 0, {"by": writer}))
        except Refused as refused:
            return reason_name(refused.reason)
        return "CREATED"

    with ThreadPoolExecutor(WRITERS) as threads:
        results = sorted(threads.map(create, range(WRITERS)))
    assert results == ["CREATED", *["RESOURCE_EXISTS"] * (WRITERS - 1)]
    assert log.head() == 1


def test_reading_goes_on_while_an_append_is_under_way(
    log: SqlAuthorityLog, other_log: SqlAuthorityLog, authority_engine: Engine
) -> None:
    write(log, Draft("operator", "alpha", 0, {}))
    with authority_engine.begin() as unfinished:
        unfinished.execute(
            text("INSERT INTO authority_log VALUES (2, 'operator', 'beta', 1, '{}', 'x', 1, 'x')")
        )
        assert [each.id for each in other_log.since(0)] == ["alpha"]
    assert [each.id for each in other_log.since(0)] == ["alpha", "beta"]


def test_the_log_keeps_versions_apart_by_itself(authority_engine: Engine) -> None:
    """Were a writer ever to skip its turn, the table itself would refuse the second."""
    row = "INSERT INTO authority_log VALUES ({}, 'operator', 'alpha', 1, '{{}}', 'x', 1, 'x')"
    with authority_engine.begin() as connection:
        connection.execute(text(row.format(1)))
    with (
        pytest.raises(IntegrityError),
        authority_engine.begin() as connection,
    ):
        connection.execute(text(row.format(2)))
