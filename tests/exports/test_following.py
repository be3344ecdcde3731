"""A receiver is told of every use, whatever fails meanwhile, and of nobody else's troubles."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from sqlalchemy import delete, update

from gateway.exports import follower as following
from gateway.exports.events import event_of
from gateway.exports.metrics import CountedUses
from gateway.exports.model import Use
from gateway.exports.uses import LedgerLost
from gateway.meter.model import LineCount
from gateway.meter.tables import USAGE, USAGE_HEADS
from gateway.telemetry.counts import UsageCounts, UsageKey
from tests.exports.world import ISSUER, Ledger
from tests.meter.world import NOW, claim
from tests.settle.month import Served
from tests.settlement.world import Ledger as RatedLedger


@dataclass
class Kept:
    """A receiver that keeps what it takes; of ``failing`` batches it takes none."""

    name: str = "kept"
    from_now: bool = False
    at_once: int = 10_000
    failing: int = 0
    uses: list[Use] = field(default_factory=list)

    def take(self, uses: Sequence[Use], now: int) -> None:
        """Keep uses."""
        if self.failing:
            self.failing -= 1
            raise OSError
        self.uses += uses


def _told(kept: Kept) -> list[tuple[str, int, int, int]]:
    return [(use.operator_id, use.usage_index, use.line, use.records) for use in kept.uses]


def test_every_use_is_told_once_in_order_and_what_is_credited_counts_negative(
    ledger: Ledger,
) -> None:
    two = (LineCount(1, 1, 7), LineCount(2, 2, 5))
    ledger.charge(claim("r-1", [1]), claim("r-2"), claim("r-3", [1, 2, 3], lines=two))
    ledger.charge(claim("r-1", [1], operator_id="beta"))
    ledger.give_back("r-3", NOW + 90_000)
    kept = Kept()
    ledger.tell(kept)
    ledger.tell(kept)
    assert sorted(_told(kept)) == [
        ("alpha", 0, 0, 1),
        ("alpha", 2, 0, 1),
        ("alpha", 2, 1, 2),
        ("alpha", 3, 0, -1),
        ("alpha", 3, 1, -2),
        ("beta", 0, 0, 1),
    ]
    assert sum(use.fee for use in kept.uses) == 14
    credit = next(use for use in kept.uses if use.records == -2)
    assert (credit.at, credit.rated_at, credit.reversed_index) == (NOW + 90_000, NOW, 2)
    assert (credit.item, credit.source, credit.region) == ("item-2", "s", "110000")


def test_receiver_that_fails_is_told_again_from_where_it_was(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "ROWS_AT_ONCE", 2)
    ledger.charge(*(claim(f"r-{number}", [1]) for number in range(5)))
    kept = Kept()
    follower = ledger.follower(kept)
    assert follower.step(NOW)
    kept.failing = 2
    for _ in range(2):
        with pytest.raises(OSError):
            follower.step(NOW)
    ledger.tell(kept)
    assert [use.usage_index for use in kept.uses] == [*range(5)]


def test_what_a_crash_left_untold_comes_again_under_the_same_names(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.charge(claim("r-1", [1]), claim("r-2", [2]))
    kept = Kept()
    follower = ledger.follower(kept)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(follower, "_keep", crash)
        with pytest.raises(KeyboardInterrupt):
            follower.step(NOW)
    ledger.tell(kept)
    assert kept.uses[:2] == kept.uses[2:]


def test_receivers_do_not_wait_for_each_other(ledger: Ledger) -> None:
    ledger.charge(claim("r-1", [1]))
    away, there = Kept("away", failing=1), Kept("there")
    with pytest.raises(OSError):
        ledger.tell(away)
    ledger.tell(there)
    assert len(there.uses) == 1
    ledger.tell(away)
    assert away.uses == there.uses


def test_ledger_put_back_is_told_and_others_are_followed(ledger: Ledger) -> None:
    ledger.charge(claim("r-1", [1]), claim("r-2", [2]), claim("r-1", [1], operator_id="beta"))
    kept = Kept()
    ledger.tell(kept)
    with ledger.engines.records.begin() as connection:
        connection.execute(delete(USAGE).where(USAGE.c.request_id == "r-2"))
        connection.execute(
            update(USAGE_HEADS).where(USAGE_HEADS.c.operator_id == "alpha").values(next_index=1)
        )
    ledger.charge(claim("r-2", [1], operator_id="beta"))
    with pytest.raises(LedgerLost):
        ledger.tell(kept)
    assert ("beta", 1, 0, 1) in _told(kept)


def test_uses_in_the_places_of_those_that_were_lost_do_not_pass_for_them(ledger: Ledger) -> None:
    ledger.charge(claim("r-1", [1]), claim("r-2", [2]))
    kept = Kept()
    ledger.tell(kept)
    with ledger.engines.records.begin() as connection:
        connection.execute(delete(USAGE).where(USAGE.c.request_id == "r-2"))
        connection.execute(update(USAGE_HEADS).values(next_index=1))
    ledger.charge(claim("r-1", [1], operator_id="beta"), claim("r-3", [3]), claim("r-4", [4]))
    with pytest.raises(LedgerLost):
        ledger.tell(kept)
    assert ("alpha", 2, 0, 1) not in _told(kept)


def test_metrics_leave_out_nothing_of_a_ledger_that_was_empty(ledger: Ledger) -> None:
    counted = CountedUses(UsageCounts())
    ledger.tell(counted)
    ledger.charge(claim("r-1", [1]))
    counts = UsageCounts()
    ledger.tell(CountedUses(counts))
    assert [*counts.used.values()] == [(1, 7)]


def test_metrics_count_from_when_they_are_first_counted(ledger: Ledger) -> None:
    ledger.charge(claim("r-1", [1]))
    counts = UsageCounts()
    counted = CountedUses(counts)
    ledger.tell(counted)
    assert not counts.used
    ledger.charge(claim("r-2", [1, 2]), claim("r-1", [1], operator_id="beta"))
    ledger.give_back("r-2", NOW)
    ledger.tell(counted)
    key = UsageKey("alpha", "penalty.general", "BIDDING", credited=False)
    assert counts.used == {
        key: (2, 14),
        key._replace(credited=True): (2, 14),
        key._replace(operator_id="beta"): (1, 7),
    }


def test_use_of_another_region_is_of_the_request_that_the_operator_sent(ledger: Ledger) -> None:
    rated = RatedLedger(ledger.engines, first=1_000)
    facts = [Served(NOW, number, "x", "penalty", "mem", "11", 1, 7) for number in (1, 2, 3)]
    rated.serve(facts, elsewhere={2})
    rated.reverse(1, 1)
    kept = Kept()
    ledger.tell(kept)
    asked = [event_of(use, ISSUER)["data"] for use in kept.uses]
    assert [(data["request_id"], data.get("region_request_id")) for data in asked] == [
        ("r-1", None),
        ("own-r-2", "r-2"),
        ("r-3", None),
        ("own-r-2", "r-2"),
    ]
    assert asked[3]["kind"] == "REVERSAL"
