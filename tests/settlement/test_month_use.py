"""Months read from the ledger: the same facts, counted by the store and by arrays."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import event, update

from creditgate.rating.rating import rate
from creditgate.rating.use import UsePart
from gateway.federation.asking.tables import REGION_USES
from gateway.settle.sharing import share_bill
from gateway.settle.use import Combination, MonthUse, Supply
from gateway.settlement.month_use import LedgerMonths
from gateway.storage.engines import Engines
from tests.examples import rarely_on_postgresql
from tests.settle.drawn import MONTH, Books, books, facts
from tests.settle.month import PlainMonth, Served
from tests.settlement.world import Ledger
from tests.stores import engines_of

SEEDS = 25


def _served(random: Random, known: Books) -> list[Served]:
    """Draw facts whose answers have each record once, as answers do."""
    drawn = (
        fact._replace(answer=100 * turn + fact.answer)
        for turn in range(4)
        for fact in facts(random, known)
    )
    once = {
        (fact.answer, fact.subject, fact.item, fact.source, fact.region): fact for fact in drawn
    }
    return list(once.values())


def _parts(use: MonthUse) -> Counter[UsePart]:
    counted: Counter[UsePart] = Counter()
    for part in use.parts:
        counted[part._replace(records=0, answers=0)] += part.records
    return counted


def _answers_by_part(use: MonthUse) -> Counter[UsePart]:
    return Counter(
        {part._replace(records=0, answers=0): part.answers for part in use.parts if part.answers}
    )


def _distinct_answers(use: PlainMonth) -> Counter[UsePart]:
    pairs = {
        (part._replace(records=0, answers=0), fact.answer)
        for part, fact in zip(use.parts, use.facts, strict=True)
    }
    return Counter(part for part, _ in pairs)


def _answers(served: Sequence[Served]) -> dict[int, list[Served]]:
    answers: dict[int, list[Served]] = {}
    for fact in served:
        answers.setdefault(fact.answer, []).append(fact)
    return answers


def _alike(use: MonthUse, indexes: Sequence[int]) -> set[UsePart]:
    return {use.parts[index]._replace(records=0, answers=0) for index in indexes}


def _those(use: MonthUse, wanted: set[UsePart]) -> list[int]:
    return [
        index
        for index, part in enumerate(use.parts)
        if part._replace(records=0, answers=0) in wanted
    ]


def _combined(use: MonthUse) -> Counter[tuple[int, int, tuple[tuple[UsePart, int], ...]]]:
    """Return the combinations, by what their parts are instead of where they stand."""
    found: Counter[tuple[int, int, tuple[tuple[UsePart, int], ...]]] = Counter()
    for each in use.combinations():
        assert list(each.supplies) == sorted(each.supplies)
        supplied: Counter[UsePart] = Counter()
        for item, source, part, records in each.supplies:
            assert (item, source) == (use.parts[part].item, use.parts[part].source)
            supplied[use.parts[part]._replace(records=0, answers=0)] += records
        found[each.part_from, each.answers, tuple(sorted(supplied.items()))] += 1
    return found


@rarely_on_postgresql
def test_a_months_use_is_that_of_its_facts_net_of_what_was_reversed(engines: Engines) -> None:
    ledger = Ledger(engines)
    for seed in range(SEEDS):
        random = Random(seed)
        known = books(random)
        ledger.forget()
        served = _served(random, known)
        # Of some answers the records are other regions'.
        ledger.serve(served, elsewhere={each.answer for each in served if each.answer % 3 == 0})
        kept: list[Served] = []
        for place, group in enumerate(_answers(served).values()):
            gone = random.randrange(len(group) + 1) if random.random() < 0.3 else 0
            if gone:
                ledger.reverse(place, gone)
            kept += group[: len(group) - gone]
        expected = known.cut(kept)
        # In blocks so small that most of what is alike comes in several.
        use = LedgerMonths(engines.records, answers_at_once=3).month_use(
            ledger.operator_id, expected.starts, MONTH, known.classes.price_class
        )
        assert _parts(use) == _parts(expected), seed
        assert _answers_by_part(use) == _distinct_answers(expected), seed
        for _ in range(5):
            some = [index for index in range(len(use.parts)) if random.random() < 0.5]
            alike = _those(expected, _alike(use, some))
            assert use.subjects(some) == expected.subjects(alike), seed
        assert _combined(use) == _combined(expected), seed
        bill = rate(use, known.prices, known.classes)
        of_facts = rate(expected, known.prices, known.classes)
        assert bill.charges == of_facts.charges, seed
        shared = share_bill(bill, use, known.sharing)
        assert shared.shares == share_bill(of_facts, expected, known.sharing).shares, seed


def test_a_subject_counts_once_whether_its_record_came_from_here_or_from_another_region(
    engines: Engines,
) -> None:
    ledger, months = Ledger(engines), LedgerMonths(engines.records)
    fact = Served(10, 1, "x", "penalty", "mem", "11", 1, 5)
    ledger.serve(
        [fact, fact._replace(answer=2), fact._replace(answer=2, subject="y")], elsewhere={2}
    )
    use = months.month_use("alpha", [0], MONTH, lambda item, at: "")
    assert [part.records for part in use.parts] == [3]
    assert use.subjects([0]) == 2
    assert use.combinations() == (Combination(0, (Supply("penalty", "mem", 0, 3),), 3),)
    # What was charged at home and never passed on is nobody's use here.
    with engines.records.begin() as connection:
        connection.execute(update(REGION_USES).values(subject=""))
    use = months.month_use("alpha", [0], MONTH, lambda item, at: "")
    with pytest.raises(LookupError, match="not kept"):
        use.subjects([0])


def test_records_of_one_line_at_two_prices_in_one_cut_are_told_apart(engines: Engines) -> None:
    ledger = Ledger(engines)
    fact = Served(10, 1, "x", "penalty", "mem", "11", 1, 5)
    ledger.serve([fact, fact._replace(answer=2, subject="y", unit_price=7, at=20)])
    use = LedgerMonths(engines.records).month_use("alpha", [0], MONTH, lambda item, at: "basic")
    assert [(part.unit_price, part.records) for part in use.parts] == [(5, 1), (7, 1)]
    assert [use.subjects([index]) for index in (0, 1)] == [1, 1]
    assert use.subjects([0, 1]) == 2
    supplies = Supply("penalty", "mem", 0, 1), Supply("penalty", "mem", 1, 1)
    assert use.combinations() == (Combination(0, supplies, 2),)


def test_what_is_metered_later_is_not_in_a_month_read_up_to_a_place(engines: Engines) -> None:
    ledger, months = Ledger(engines), LedgerMonths(engines.records)
    fact = Served(10, 1, "x", "penalty", "mem", "11", 1, 5)
    ledger.serve([fact])
    at = months.position("alpha")
    ledger.serve([fact._replace(answer=2)])
    ledger.reverse(0, 1)
    assert at == (1, at.sequence)
    before = months.month_use("alpha", [0], MONTH, lambda item, at: "", at)
    now = months.month_use("alpha", [0], MONTH, lambda item, at: "")
    assert [part.records for part in before.parts] == [1]
    assert before.last_sequence == at.sequence
    assert [part.records for part in now.parts] == [1]
    assert now.last_sequence > at.sequence
    assert (before.subjects([0]), now.subjects([0])) == (1, 1)


def test_nothing_is_read_to_tell_that_no_region_is_owed_anything(engines: Engines) -> None:
    ledger, connections = Ledger(engines), list[object]()
    fact = Served(10, 1, "x", "penalty", "mem", "11", 1, 5)
    ledger.serve([fact, fact._replace(answer=2, subject="y")])
    use = LedgerMonths(engines.records).month_use("alpha", [0], MONTH, lambda item, at: "")
    event.listen(engines.records, "engine_connect", connections.append)
    assert use.owed() == []
    assert connections == []
    # One answer of another region among others, alike but for that, is enough.
    ledger.serve([fact._replace(answer=3)], elsewhere={3})
    use = LedgerMonths(engines.records).month_use("alpha", [0], MONTH, lambda item, at: "")
    assert [(each.records, each.amount) for each in use.owed()] == [(1, 1)]


def test_reversals_of_a_month_are_not_looked_for_by_all_its_answers(
    sqlite_store: tuple[str, Path],
) -> None:
    asked: list[tuple[str, Any]] = []

    def hear(_c: object, _cursor: object, statement: str, values: object, *_: object) -> None:
        asked.append((statement, values))

    with engines_of(*sqlite_store) as engines:
        Ledger(engines).serve([Served(10, 1, "x", "penalty", "mem", "11", 1, 5)])
        event.listen(engines.records, "before_cursor_execute", hear)
        LedgerMonths(engines.records).month_use("alpha", [0], MONTH, lambda item, at: "")
        ((statement, values),) = [each for each in asked if "AS credit" in each[0]]
        with engines.records.connect() as connection:
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
            plan = "\n".join(str(row[-1]) for row in rows)
    assert "ix_usage_answers_reversals" in plan
    assert "served_at" not in plan


def test_revision_that_is_gone_from_the_store_is_told_not_passed_over(engines: Engines) -> None:
    from gateway.disclose.tables import REVISIONS

    Ledger(engines).serve([Served(10, 1, "x", "penalty", "mem", "11", 1, 5)])
    with engines.records.begin() as connection:
        connection.execute(REVISIONS.delete())
    use = LedgerMonths(engines.records).month_use("alpha", [0], MONTH, lambda item, at: "")
    with pytest.raises(LookupError, match="not in the store"):
        use.subjects([0])
