"""How deliveries are settled: what is missing, by rules; and who is first, by the store."""

import random
from threading import Barrier, Thread
from time import sleep

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.meter.decisions import DecisionIds
from gateway.meter.deliveries import AlreadySettled, Deliveries, OtherPayload
from gateway.meter.delivery import (
    ENDED,
    SETTLED,
    START,
    ChunkEntries,
    Delivering,
    DeliveryKey,
    Reached,
    omitted_by,
    unacknowledged,
    up_to,
)
from gateway.meter.ledger import UsageLedger
from gateway.meter.model import ANSWER, Charged, NotCharged, Replayed, UsageClaim, unpack_entries
from gateway.meter.settler import DeliverySettler
from gateway.storage.engines import Engines
from tests.clock import NOW, StandingClock
from tests.examples import seeds
from tests.meter.world import (
    DAY,
    Disclosure,
    admitted,
    claim,
    paused_before_commit,
    quota_used,
    stored,
    with_lines,
)
from tests.receipts import RECEIPTS

KEY = DeliveryKey("alpha", "d-1")
REUSED = NotCharged(RefusalReason.REFUSAL_REASON_REQUEST_ID_REUSED)
CHUNKS, EACH = 4, 3


@st.composite
def charged(draw: st.DrawFn) -> list[ChunkEntries]:
    """Draw chunks that were charged, some of them empty, revisions in any order."""
    sizes = draw(st.lists(st.integers(0, 5), min_size=1, max_size=5))
    revisions = draw(st.permutations(range(1, sum(sizes) + 1)))
    numbers = sorted(draw(st.sets(st.integers(0, 9), min_size=len(sizes), max_size=len(sizes))))
    found: list[ChunkEntries] = []
    for number, size in zip(numbers, sizes, strict=True):
        found.append(ChunkEntries(number, tuple(revisions[:size])))
        revisions = revisions[size:]
    return found


def flat(chunks: list[ChunkEntries]) -> list[int]:
    """Return all entries in order."""
    return [each for _, entries in chunks for each in entries]


@given(charged(), st.integers(0, 10), st.integers(0, 5), st.sets(st.integers(1, 25)))
def test_acknowledged_is_what_lies_before_a_position_and_came(
    chunks: list[ChunkEntries], chunk: int, entries: int, omitted: set[int]
) -> None:
    missing = flat(unacknowledged(chunks, Reached(chunk, entries), omitted))
    before = [
        each
        for number, found in chunks
        for place, each in enumerate(found)
        if (number, place) < (chunk, entries)
    ]
    assert sorted(missing) == sorted(set(flat(chunks)) - (set(before) - omitted))


@given(charged(), st.integers(-3, 30))
def test_a_bound_leaves_out_what_came_first(chunks: list[ChunkEntries], most: int) -> None:
    missing = unacknowledged(chunks, START, set())
    found = flat(up_to(missing, most))
    assert found == flat(missing)[max(0, len(flat(missing)) - max(0, most)) :]


@given(charged(), st.data())
def test_what_a_repeated_chunk_has_no_more_is_omitted_unless_it_was_acknowledged(
    chunks: list[ChunkEntries], data: st.DataObject
) -> None:
    """However often it is repeated: the last time counts."""
    one = data.draw(st.sampled_from(chunks))
    reached = Reached(one.chunk, data.draw(st.integers(0, len(one.entries))))
    omitted: set[int] = set()
    again: set[int] = set()
    for _ in range(data.draw(st.integers(1, 3))):
        again = data.draw(st.sets(st.sampled_from(one.entries or (0,))))
        omitted = omitted_by(again, one, reached, omitted)
    assert omitted == set(one.entries[reached.entries :]) - again


class Delivered:
    """A ledger with records, deliveries over it, and a settler for which everything is due."""

    def __init__(self, engines: Engines) -> None:
        self.engine = with_lines(engines.records)
        self.clock = StandingClock()
        self.deliveries = Deliveries(self.engine)
        self.sequences = Disclosure(self.engine).publish(
            *(admitted(f"r-{number}", number) for number in range(1, CHUNKS * EACH + 1))
        )
        self.settler = DeliverySettler(
            self.engine, self.clock, DecisionIds(), grace_seconds=-1, per_day=1_000
        )

    def ledger(self) -> UsageLedger:
        """Return a ledger, as another process has one."""
        return UsageLedger(self.engine, self.clock, RECEIPTS)

    def claim(self, chunk: int, turn: int, reached: Reached, key: DeliveryKey = KEY) -> UsageClaim:
        """Return the claim of a chunk."""
        entries = self.sequences[chunk * EACH : (chunk + 1) * EACH]
        return claim(
            key.request_id,
            entries,
            chunk=chunk,
            delivery=Delivering(turn, reached),
            disclosure_sequence=len(self.sequences),
        )

    def net(self, key: DeliveryKey = KEY) -> list[int]:
        """Return what a request is charged for and not credited, each once."""
        found: list[int] = []
        for row in sorted(stored(self.engine), key=lambda row: row.kind):
            if row.request_id == key.request_id:
                for each in unpack_entries(row.entries):
                    if row.kind == ANSWER:
                        assert each not in found
                        found.append(each)
                    else:
                        found.remove(each)
        return found


@pytest.fixture
def delivered(engines: Engines) -> Delivered:
    """A ledger and deliveries, on an empty store."""
    return Delivered(engines)


def test_claims_of_a_turn_that_was_taken_are_refused_and_move_nothing(
    delivered: Delivered,
) -> None:
    ledger = delivered.ledger()
    first = delivered.deliveries.take_up(KEY, b"payload", NOW)
    assert isinstance(ledger.commit([delivered.claim(0, first.turn, START)])[0], Charged)
    second = delivered.deliveries.take_up(KEY, b"payload", NOW)
    late = delivered.claim(1, first.turn, Reached(0, 2))
    assert ledger.commit([late]) == [REUSED]
    assert delivered.deliveries.take_up(KEY, b"payload", NOW).reached == START
    assert second.turn == first.turn + 1
    assert len(stored(delivered.engine)) == 1
    assert not delivered.deliveries.acknowledge(KEY, first.turn, Reached(0, 2), NOW)


def test_position_goes_with_a_claim_whatever_becomes_of_it(delivered: Delivered) -> None:
    ledger = delivered.ledger()
    turn = delivered.deliveries.take_up(KEY, b"payload", NOW).turn
    ledger.commit([delivered.claim(0, turn, START)])
    (again,) = ledger.commit([delivered.claim(0, turn, Reached(0, 1))])
    assert isinstance(again, Replayed)
    assert delivered.deliveries.take_up(KEY, b"payload", NOW).reached == Reached(0, 1)


def test_claims_of_other_requests_in_a_group_are_charged_all_the_same(
    delivered: Delivered,
) -> None:
    lost = delivered.claim(0, 7, START)
    outcomes = delivered.ledger().commit([claim("r-1"), lost, claim("r-2")])
    assert isinstance(outcomes[0], Charged)
    assert outcomes[1] == REUSED
    assert isinstance(outcomes[2], Charged)


def test_settled_delivery_charges_nothing_more(delivered: Delivered) -> None:
    ledger = delivered.ledger()
    turn = delivered.deliveries.take_up(KEY, b"payload", NOW).turn
    ledger.commit([delivered.claim(0, turn, START)])
    delivered.settler.settle(KEY)
    assert ledger.commit([delivered.claim(1, turn, Reached(0, EACH))]) == [REUSED]
    with pytest.raises(AlreadySettled):
        delivered.deliveries.take_up(KEY, b"payload", NOW)
    with pytest.raises(OtherPayload):
        delivered.deliveries.take_up(KEY, b"other", NOW)
    assert delivered.net() == []
    assert quota_used(delivered.engine) == {("alpha", NOW // DAY): 0}


def test_quota_is_given_back_to_the_day_it_was_used_on(delivered: Delivered) -> None:
    ledger = delivered.ledger()
    turn = delivered.deliveries.take_up(KEY, b"payload", NOW).turn
    ledger.commit([delivered.claim(0, turn, START)])
    delivered.clock.at += 2 * DAY
    ledger.commit([claim("today", [1], served_at=delivered.clock.at)])
    delivered.settler.settle(KEY)
    assert quota_used(delivered.engine) == {
        ("alpha", NOW // DAY): 0,
        ("alpha", NOW // DAY + 2): 1,
    }


def test_quota_is_right_where_a_claim_comes_while_a_delivery_is_settled(
    delivered: Delivered,
) -> None:
    """Whoever charges reads the count and writes it anew, so it waits for who settles."""
    ledger = delivered.ledger()
    turn = delivered.deliveries.take_up(KEY, b"payload", NOW).turn
    ledger.commit([delivered.claim(0, turn, START)])
    other = delivered.ledger()
    with paused_before_commit(delivered.engine, lambda: delivered.settler.settle(KEY)) as settled:
        charging = Thread(target=other.commit, args=([claim("r-1", delivered.sequences[:1])],))
        charging.start()
        charging.join(0.3)
        settled()
    charging.join(10)
    other.close()
    assert quota_used(delivered.engine) == {("alpha", NOW // DAY): 1}
    rows = stored(delivered.engine)
    assert [row.usage_index for row in rows] == [*range(len(rows))]


def test_one_delivery_that_cannot_be_settled_keeps_none_of_the_others(
    delivered: Delivered,
) -> None:
    """What it served is missing in the store: told, and tried again."""
    other = DeliveryKey("alpha", "d-2")
    ledger = delivered.ledger()
    for key, entries in ((KEY, [10**6]), (other, delivered.sequences[:1])):
        turn = delivered.deliveries.take_up(key, b"payload", NOW).turn
        made = claim(key.request_id, entries, delivery=Delivering(turn, START))
        ledger.commit([made])
    with pytest.raises(LookupError):
        delivered.settler.step()
    assert delivered.net(other) == []
    assert delivered.net() == [10**6]


@pytest.mark.parametrize("seed", seeds(6, always=2))
def test_charging_taking_up_and_settling_at_once_come_to_one_result(
    delivered: Delivered, seed: int
) -> None:
    """A caller charges and acknowledges chunk by chunk while two settlers and another caller
    have the same delivery: what is left to pay is what was acknowledged in time, and no more."""
    chance = random.Random(seed)
    keys = [DeliveryKey("alpha", f"d-{seed}-{number}") for number in range(8)]
    pauses = [chance.random() * 0.02 for _ in keys]
    meeting = Barrier(4)
    said: dict[DeliveryKey, list[int]] = {key: [] for key in keys}
    failures: list[BaseException] = []

    def call(key: DeliveryKey) -> None:
        ledger = delivered.ledger()
        try:
            taken = delivered.deliveries.take_up(key, b"payload", NOW)
            reached = taken.reached
            for chunk in range(reached.chunk, CHUNKS):
                (outcome,) = ledger.commit([delivered.claim(chunk, taken.turn, reached, key)])
                if outcome == REUSED:
                    return
                said[key] += delivered.sequences[chunk * EACH : (chunk + 1) * EACH]
                reached = max(reached, Reached(chunk, EACH))
            delivered.deliveries.acknowledge(key, taken.turn, Reached(CHUNKS, 0), NOW, is_last=True)
        except AlreadySettled:
            return
        finally:
            ledger.close()

    def meet(work: str) -> None:
        try:
            for key, pause in zip(keys, pauses, strict=True):
                meeting.wait(20)
                if work == "call":
                    call(key)
                    continue
                sleep(pause)
                delivered.settler.settle(key)
        except BaseException as error:
            failures.append(error)
            meeting.abort()

    threads = [Thread(target=meet, args=(work,)) for work in ("call", "call", "settle", "settle")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    for key in keys:
        delivered.settler.settle(key)
        told = delivered.deliveries.told(key)
        left = delivered.net(key)
        assert set(left) <= set(said[key])
        if told is not None:
            assert told.state in {ENDED, SETTLED}
            assert len(left) == told.acknowledged + told.standing
    rows = stored(delivered.engine)
    assert [row.usage_index for row in rows] == [*range(len(rows))]
    assert sum(quota_used(delivered.engine).values()) == sum(
        len(delivered.net(key)) for key in keys
    )
