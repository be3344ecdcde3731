"""The committer: one outcome for each claim, whatever comes together, fails or goes away."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from threading import Event
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.meter import busy as busy_threads
from gateway.meter import committer as committing
from gateway.meter import company
from gateway.meter.committer import GroupCommitter
from gateway.meter.ledger import UsageLedger
from gateway.meter.model import Charged, Outcome, RefusalEntry, Replayed, UsageClaim
from gateway.meter.tables import REFUSALS
from gateway.storage.engines import reading
from tests.clock import StandingClock
from tests.meter.world import claim, refusal, stored, with_lines
from tests.receipts import RECEIPTS


class GatedLedger(UsageLedger):
    """A real ledger that makes no group durable before the gate opens, and notes each group's size."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(with_lines(engine), StandingClock(), RECEIPTS)
        self.open = Event()
        self.begun = Event()
        self.groups: list[tuple[int, int]] = []
        self.fail: Callable[[], None] | None = None

    def begin_at_once(
        self, claims: Sequence[UsageClaim], refusals: Sequence[RefusalEntry] = ()
    ) -> list[Outcome] | None:
        """Begin, for that waits for nobody."""
        outcomes = super().begin_at_once(claims, refusals)
        if outcomes is not None:
            self.groups.append((len(claims), len(refusals)))
        return outcomes

    def finish(self) -> None:
        """Wait for the gate, then make durable."""
        self._wait()
        super().finish()

    def commit(
        self, claims: Sequence[UsageClaim], refusals: Sequence[RefusalEntry] = ()
    ) -> list[Outcome]:
        """Wait for the gate, then commit."""
        self.groups.append((len(claims), len(refusals)))
        self._wait()
        return super().commit(claims, refusals)

    def _wait(self) -> None:
        self.begun.set()
        assert self.open.wait(10)
        if self.fail is not None:
            self.close()
            self.fail()


@asynccontextmanager
async def committer_over(ledger: UsageLedger) -> AsyncGenerator[GroupCommitter]:
    """Open and close a committer."""
    committer = GroupCommitter(ledger, lambda size: None)
    try:
        yield committer
    finally:
        if isinstance(ledger, GatedLedger):
            ledger.open.set()
        committer.close()


def always_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every loop count as busy, from the first group on."""
    monkeypatch.setattr(company, "_BUSY_TENTHS", -1)
    monkeypatch.setattr(busy_threads, "_LOOK", 0)


async def begun(ledger: GatedLedger) -> None:
    """Return when the ledger has been given its first group."""
    await asyncio.to_thread(ledger.begun.wait, 10)


def reason(error: BaseException | object) -> str:
    """Return a refusal's reason, for short."""
    assert isinstance(error, Refused)
    return RefusalReason.Name(error.reason).removeprefix("REFUSAL_REASON_")


async def test_hundreds_of_concurrent_duplicates_are_charged_once(records_engine: Engine) -> None:
    async with committer_over(
        UsageLedger(with_lines(records_engine), StandingClock(), RECEIPTS)
    ) as committer:

        async def ask(number: int) -> Outcome:
            await asyncio.sleep(0.0001 * (number % 40))
            return await committer.charge(claim("same", [1, 2], decision_id=f"d-{number}"))

        outcomes = await asyncio.gather(*map(ask, range(400)))
    assert Counter(map(type, outcomes)) == {Charged: 1, Replayed: 399}
    (row,) = stored(records_engine)
    replayed = {outcome for outcome in outcomes if isinstance(outcome, Replayed)}
    assert replayed == {Replayed(row.decision_id)}


async def test_claims_that_come_together_share_a_commit_and_keep_their_order(
    records_engine: Engine,
) -> None:
    ledger = GatedLedger(records_engine)
    async with committer_over(ledger) as committer:
        first = committer.charge(claim("first", [1]))
        await begun(ledger)
        others = [committer.charge(claim(f"r-{i}", [1])) for i in range(300)]
        ledger.open.set()
        assert await asyncio.gather(first, *others) == [Charged(7)] * 301
    assert ledger.groups == [(1, 0), (256, 0), (44, 0)]
    assert [row.request_id for row in stored(records_engine)] == [
        "first",
        *(f"r-{i}" for i in range(300)),
    ]


async def test_claims_that_come_after_a_full_group_wait_for_each_other(
    records_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only under load: the claim after a small group goes at once."""
    always_busy(monkeypatch)
    # Longer than any machine takes for what is done meanwhile.
    for name in ("_PAUSE_SECONDS", "_MOST_DELAY_SECONDS"):
        monkeypatch.setattr(company, name, 0.3)
    ledger = GatedLedger(records_engine)
    ledger.open.set()
    async with committer_over(ledger) as committer:
        for together in (5, 1):
            first = [committer.charge(claim(f"{together}-{i}", [1])) for i in range(together)]
            await asyncio.gather(*first)
            one = committer.charge(claim(f"{together}-one", [1]))
            for _ in range(3):
                await asyncio.sleep(0)
            other = committer.charge(claim(f"{together}-other", [1]))
            await asyncio.gather(one, other)
    assert ledger.groups == [(5, 0), (2, 0), (1, 0), (1, 0), (1, 0)]


@pytest.mark.parametrize(
    ("late", "waits", "groups"),
    [
        pytest.param(20, {"_MOST_DELAY": 20, "_PAUSE": 1}, [20, 20], id="as many as had before"),
        pytest.param(
            20, {"_MOST_DELAY": 20, "_PAUSE": 20}, [20, 20], id="no longer than they come"
        ),
        pytest.param(19, {"_MOST_DELAY": 20, "_PAUSE": 1}, [20, 19], id="or than anybody comes"),
        pytest.param(20, {"_MOST_DELAY": 0.1, "_PAUSE": 0.2}, None, id="nor for ever"),
    ],
)
async def test_a_group_under_load_waits_for_company(
    records_engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    late: int,
    waits: dict[str, float],
    groups: list[int] | None,
) -> None:
    always_busy(monkeypatch)
    monkeypatch.setattr(company, "_LATE_SECONDS", 10)
    for name, seconds in waits.items():
        monkeypatch.setattr(company, f"{name}_SECONDS", seconds)
    ledger = GatedLedger(records_engine)
    ledger.open.set()
    async with committer_over(ledger) as committer:
        await asyncio.gather(*(committer.charge(claim(f"first-{i}", [1])) for i in range(20)))
        asked: list[asyncio.Future[Outcome]] = []
        for number in range(late):
            asked.append(committer.charge(claim(f"r-{number}", [1])))
            await asyncio.sleep(0.02)
        await asyncio.wait_for(asyncio.gather(*asked), 10)
    sizes = [size for size, _ in ledger.groups]
    assert len(sizes) > 2 if groups is None else sizes == groups


@pytest.mark.parametrize("busy", [True, False])
async def test_whether_the_loop_is_busy_is_told_by_its_cpu(
    records_engine: Engine, monkeypatch: pytest.MonkeyPatch, busy: bool
) -> None:
    """One that has time waits for nobody, whatever came before."""
    # Less than any machine leaves a busy loop, and more than an idle one takes.
    monkeypatch.setattr(company, "_BUSY_TENTHS", 1.5)
    for name, seconds in (("_PAUSE", 0.4), ("_MOST_DELAY", 20)):
        monkeypatch.setattr(company, f"{name}_SECONDS", seconds)
    ledger = GatedLedger(records_engine)
    ledger.open.set()
    async with committer_over(ledger) as committer:
        # From one group to the next.
        for turn in range(2):
            asked = [committer.charge(claim(f"{turn}-{i}", [1])) for i in range(20)]
            await asyncio.gather(*asked)
            until = time.thread_time() + 0.3
            while busy and turn == 0 and time.thread_time() < until:
                pass
            await asyncio.sleep(0 if busy else 0.3 * (1 - turn))
        late = [committer.charge(claim("late-1", [1]))]
        await asyncio.sleep(0.05)
        late.append(committer.charge(claim("late-2", [1])))
        await asyncio.wait_for(asyncio.gather(*late), 10)
    sizes = [size for size, _ in ledger.groups]
    assert sizes == ([20, 20, 2] if busy else [20, 20, 1, 1])


async def test_a_loop_that_had_no_time_is_not_quiet(
    records_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    always_busy(monkeypatch)
    for delay, seconds in (("_PAUSE", 1), ("_LATE", 0.5), ("_MOST_DELAY", 20)):
        monkeypatch.setattr(company, f"{delay}_SECONDS", seconds)
    ledger = GatedLedger(records_engine)
    ledger.open.set()
    async with committer_over(ledger) as committer:
        await asyncio.gather(*(committer.charge(claim(f"first-{i}", [1])) for i in range(20)))
        asked = [committer.charge(claim("r-1", [1]))]
        # One pause in which somebody came, and some of the next.
        await asyncio.sleep(1.25)
        # As who calls, all that is worked at by the loop keeps it from who comes.
        time.sleep(1.5)  # noqa: ASYNC251
        for _ in range(3):
            await asyncio.sleep(0)
        asked.append(committer.charge(claim("r-2", [1])))
        await asyncio.wait_for(asyncio.gather(*asked), 10)
    assert [size for size, _ in ledger.groups] == [20, 2]


async def test_by_a_moment_alone_no_loop_is_busy(
    records_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it did from one group to the next would be chance."""
    monkeypatch.setattr(company, "_BUSY_TENTHS", -1)
    monkeypatch.setattr(busy_threads, "_LOOK", 100_000_000_000)
    for name, seconds in (("_PAUSE", 20), ("_MOST_DELAY", 20)):
        monkeypatch.setattr(company, f"{name}_SECONDS", seconds)
    ledger = GatedLedger(records_engine)
    ledger.open.set()
    async with committer_over(ledger) as committer:
        for size in (20, 10):
            asked = [committer.charge(claim(f"{size}-{i}", [1])) for i in range(size)]
            await asyncio.wait_for(asyncio.gather(*asked), 10)
    assert [size for size, _ in ledger.groups] == [20, 10]


async def test_claim_of_a_client_that_went_away_while_waiting_is_not_charged(
    records_engine: Engine,
) -> None:
    ledger = GatedLedger(records_engine)
    async with committer_over(ledger) as committer:
        writing = committer.charge(claim("being written", [1]))
        await begun(ledger)
        waiting = [committer.charge(claim(f"r-{i}", [1])) for i in range(3)]
        waiting[1].cancel()
        writing.cancel()
        ledger.open.set()
        assert await waiting[0] == await waiting[2] == Charged(7)
        retry = await committer.charge(claim("being written", [1]))
    # What was being written stays written, and its retry is free.
    assert retry == Replayed("d-being written")
    assert [row.request_id for row in stored(records_engine)] == ["being written", "r-0", "r-2"]


async def test_failing_store_refuses_its_group_and_the_next_is_served(
    records_engine: Engine,
) -> None:
    ledger = GatedLedger(records_engine)

    def fail() -> None:
        ledger.fail = None
        raise OSError

    ledger.fail = fail
    async with committer_over(ledger) as committer:
        charge, noted = committer.charge(claim("r-1", [1])), committer.log_refusal(refusal())
        ledger.open.set()
        results = await asyncio.gather(charge, noted, return_exceptions=True)
        assert {reason(result) for result in results} == {"TEMPORARILY_UNAVAILABLE"}
        assert not stored(records_engine)
        assert await committer.charge(claim("r-1", [1])) == Charged(7)


async def test_unwritable_claim_is_refused_and_its_neighbours_are_served(
    records_engine: Engine,
) -> None:
    ledger = GatedLedger(records_engine)
    async with committer_over(ledger) as committer:
        asked = [
            committer.charge(claim("r-1", [1])),
            committer.charge(claim("r-2", [1], licence="\ud800")),
            committer.charge(claim("r-3", [1])),
        ]
        ledger.open.set()
        one, two, three = await asyncio.gather(*asked, return_exceptions=True)
    assert (one, reason(two), three) == (Charged(7), "TEMPORARILY_UNAVAILABLE", Charged(7))


async def test_flood_of_refusals_does_not_hold_up_a_charge(records_engine: Engine) -> None:
    ledger = GatedLedger(records_engine)
    async with committer_over(ledger) as committer:
        refusals = [committer.log_refusal(refusal(decision_id=f"d-{i}")) for i in range(2_000)]
        charge = committer.charge(claim("r-1", [1]))
        ledger.open.set()
        assert await charge == Charged(7)
        # The group being written when the charge came, and the one that took it.
        assert len(ledger.groups) <= 3
        assert sum(noted for _, noted in ledger.groups) <= 3 * 64
        await asyncio.gather(*refusals)
    assert max(noted for _, noted in ledger.groups) == 64
    with reading(records_engine) as connection:
        assert connection.execute(select(func.count()).select_from(REFUSALS)).scalar() == 2_000


@pytest.mark.parametrize("kind", ["claims", "refusals"])
async def test_no_more_wait_than_the_bound_and_one_kind_leaves_room_for_the_other(
    records_engine: Engine, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(committing, "MOST_WAITING", 5)
    ledger = GatedLedger(records_engine)
    async with committer_over(ledger) as committer:

        def claim_one() -> "asyncio.Future[Outcome]":
            return committer.charge(claim(f"r-{len(asked)}", [1]))

        def refuse_one() -> "asyncio.Future[None]":
            return committer.log_refusal(refusal())

        asked: list[asyncio.Future[Any]] = []
        ask, ask_other = (claim_one, refuse_one) if kind == "claims" else (refuse_one, claim_one)
        asked.extend(ask() for _ in range(5))
        with pytest.raises(Refused) as full:
            ask()
        assert (reason(full.value), full.value.retry_after) == ("RATE_EXCEEDED", 1)
        asked.append(ask_other())
        ledger.open.set()
        await asyncio.gather(*asked)
        # What was answered makes room again.
        await ask()


async def test_close_writes_what_waits_and_takes_no_more(records_engine: Engine) -> None:
    committer = GroupCommitter(
        UsageLedger(with_lines(records_engine), StandingClock(), RECEIPTS), lambda size: None
    )
    asked = [committer.charge(claim(f"r-{i}", [1])) for i in range(600)]
    noted = [committer.log_refusal(refusal(decision_id=f"d-{i}")) for i in range(150)]
    committer.close()
    assert len(stored(records_engine)) == 600
    assert await asyncio.gather(*asked) == [Charged(7)] * 600
    await asyncio.gather(*noted)
    committer.close()
    for late in (
        lambda: committer.charge(claim("late", [1])),
        lambda: committer.log_refusal(refusal()),
    ):
        with pytest.raises(Refused) as closed:
            late()
        assert reason(closed.value) == "TEMPORARILY_UNAVAILABLE"


async def test_turns_are_taken_with_the_beat_of_the_groups(records_engine: Engine) -> None:
    """At once when nothing is written; else when it is, before the next group is begun."""
    ledger = GatedLedger(records_engine)
    taken: list[str] = []
    async with committer_over(ledger) as committer:
        committer.when_free(lambda: taken.append("free"))
        await asyncio.sleep(0)
        assert taken == ["free"]
        asked = [committer.charge(claim("r-1", [1]))]
        await begun(ledger)

        def turn() -> None:
            taken.append("after a group")
            asked.append(committer.charge(claim("r-2", [1])))

        committer.when_free(turn)
        await asyncio.sleep(0.01)
        assert taken == ["free"]
        asked.append(committer.charge(claim("r-3", [1])))
        ledger.open.set()
        await asked[0]
        await asyncio.gather(*asked)
        assert taken == ["free", "after a group"]
    assert ledger.groups == [(1, 0), (2, 0)]


async def test_turn_is_taken_though_no_group_follows(records_engine: Engine) -> None:
    ledger = GatedLedger(records_engine)
    async with committer_over(ledger) as committer:
        asked = committer.charge(claim("r-1", [1]))
        taken = asyncio.Event()
        committer.when_free(lambda: committer.when_free(taken.set))
        ledger.open.set()
        await asked
        await asyncio.wait_for(taken.wait(), 10)


async def test_a_turn_that_fails_keeps_nobody_from_an_answer(
    records_engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("of 91000000MA0000001")

    ledger = GatedLedger(records_engine)
    taken = asyncio.Event()
    async with committer_over(ledger) as committer:
        first = committer.charge(claim("first", [1]))
        await begun(ledger)
        for turn in (fail, taken.set):
            committer.when_free(turn)
        ledger.open.set()
        assert await asyncio.wait_for(first, 10) == Charged(7)
        await asyncio.wait_for(taken.wait(), 10)
        assert await asyncio.wait_for(committer.charge(claim("next", [1])), 10) == Charged(7)
    (told,) = caplog.messages
    assert "RuntimeError" in told and "91000000" not in told


async def test_who_cannot_count_groups_keeps_nobody_from_an_answer(
    records_engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(size: int) -> None:
        raise OverflowError(size)

    ledger = UsageLedger(with_lines(records_engine), StandingClock(), RECEIPTS)
    committer = GroupCommitter(ledger, fail)
    for name in ("first", "next"):
        assert await asyncio.wait_for(committer.charge(claim(name, [1])), 10) == Charged(7)
    committer.close()
    assert len(caplog.messages) == 2


async def test_sizes_of_groups_are_told(records_engine: Engine) -> None:
    sizes: list[int] = []
    ledger = GatedLedger(records_engine)
    committer = GroupCommitter(ledger, sizes.append)
    noted = committer.log_refusal(refusal())
    await begun(ledger)
    asked = [committer.charge(claim(f"r-{i}", [1])) for i in range(3)]
    ledger.open.set()
    await asyncio.gather(noted, *asked)
    committer.close()
    assert sizes == [3]
