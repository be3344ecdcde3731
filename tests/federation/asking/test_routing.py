"""Routing: every region is named, and none is asked for more than may be had."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creditgate.refusal import Refused, reason_name
from creditgate.transparency.merkle import ProofInvalid
from creditgate.uscc import check_character
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from creditgate.v1.federated_record_service_pb2 import NotAskedReason
from gateway.federation.asking.answers import require_reach
from gateway.federation.asking.routing import (
    ASKED,
    Kept,
    Known,
    Question,
    is_home,
    planned,
    require_mapped,
)
from gateway.federation.asking.service import DOUBTED_ONE_IN, doubted
from operators.item_mappings import ItemMapping, ItemMappings, Translation
from operators.shapes import ALL_REGIONS, covers

NORTH, SOUTH = "https://north.invalid", "https://south.invalid"
ITEMS = ("penalty", "tax", "licence")
CODES = ("11", "1101", "110105", "44", "4403", "440305")
DISTRICTS = ("110105", "440305", "310101")


class Told(NamedTuple):
    """A directory that is told whom it may hold."""

    made_at: int
    holds: frozenset[str]

    def may_hold(self, subject: str) -> bool:
        return subject in self.holds


def company(district: str, number: int) -> str:
    stem = f"91{district}{number:09d}"
    return stem + check_character(stem)


SUBJECTS = tuple(company(district, number) for district in DISTRICTS for number in range(3))


def mappings(items: Mapping[str, Mapping[str, str]]) -> ItemMappings:
    made = {
        region: ItemMapping(region=region, items=dict(pairs), catalogue_version="1", version=3)
        for region, pairs in items.items()
        if pairs
    }
    return ItemMappings(made)


def question(
    subjects: Sequence[str] = SUBJECTS,
    items: tuple[str, ...] = ("penalty",),
    reach: frozenset[str] = frozenset({ALL_REGIONS}),
    consented: frozenset[str] | None = None,
    named: frozenset[str] = frozenset(),
    every: bool = False,
) -> Question:
    def reached(subject: str) -> Mapping[str, frozenset[str]]:
        del subject
        return dict.fromkeys(ITEMS, reach)

    return Question(subjects, items, reached, consented, named, every)


MAPPED = mappings({NORTH: {"penalty": "xzcf"}, SOUTH: {"penalty": "fine"}})

regions = st.sets(st.sampled_from(CODES), min_size=1, max_size=3).map(tuple)
reaches = st.frozensets(st.sampled_from((*CODES, ALL_REGIONS)), max_size=3)
pairs = st.dictionaries(
    st.sampled_from(ITEMS), st.sampled_from(("xzcf", "fine", "other")), max_size=3
)


@given(
    codes=regions,
    reach=reaches,
    consented=st.none() | reaches,
    pairs=pairs.filter(lambda each: len(set(each.values())) == len(each)),
    items=st.lists(st.sampled_from(ITEMS), min_size=1, unique=True).map(tuple),
    holds=st.none() | st.frozensets(st.sampled_from(SUBJECTS)),
    named=st.frozensets(st.sampled_from((NORTH, SOUTH))),
    every=st.booleans(),
)
def test_every_region_is_planned_once_and_never_beyond_what_may_be_had(
    codes: tuple[str, ...],
    reach: frozenset[str],
    consented: frozenset[str] | None,
    pairs: dict[str, str],
    items: tuple[str, ...],
    holds: frozenset[str] | None,
    named: frozenset[str],
    every: bool,
) -> None:
    directory = None if holds is None else Told(7, holds)
    known = [Known(NORTH, codes, directory), Known(SOUTH, ("31",), None)]
    asked = question(items=items, reach=reach, consented=consented, named=named, every=every)
    plans = planned(known, mappings({NORTH: pairs}), asked)
    assert [plan.region for plan in plans] == [NORTH, SOUTH]
    for plan in plans:
        assert (plan.not_asked == ASKED) == bool(plan.subjects)
    north = plans[0]
    if north.not_asked == ASKED:
        assert not named or NORTH in named
        assert {here for here, _ in north.translation.pairs} == set(items)
        assert north.translation.version == 3
        # Only narrowing: each code lies in the region and in what may be had there.
        assert north.reach
        assert all(covers(codes, code) and covers(reach, code) for code in north.reach)
        left_out = set(range(len(SUBJECTS))) - set(north.subjects)
        for index in left_out:
            assert directory is not None
            assert not every
            assert consented is None
            assert not is_home(codes, SUBJECTS[index])
            assert not directory.may_hold(SUBJECTS[index])
        assert (north.directory_time == 7) == bool(left_out)


def test_a_subject_is_asked_about_where_it_is_registered_whatever_a_directory_says() -> None:
    known = [Known(NORTH, ("11",), Told(7, frozenset()))]
    (plan,) = planned(known, MAPPED, question())
    assert [SUBJECTS[index][2:8] for index in plan.subjects] == ["110105"] * 3
    assert plan.directory_time == 7


def test_a_region_without_a_directory_is_asked_about_everybody() -> None:
    (plan,) = planned([Known(NORTH, ("11",), None)], MAPPED, question())
    assert plan.subjects == tuple(range(len(SUBJECTS)))
    assert plan.directory_time is None


def test_a_directory_of_public_records_says_nothing_about_what_a_consent_opens() -> None:
    known = [Known(NORTH, ("11",), Told(7, frozenset()))]
    (plan,) = planned(known, MAPPED, question(consented=frozenset({ALL_REGIONS})))
    assert len(plan.subjects) == len(SUBJECTS)


def test_each_reason_not_to_ask_is_told() -> None:
    known = [Known(NORTH, ("11",), Told(7, frozenset()))]
    elsewhere = [subject for subject in SUBJECTS if not is_home(("11",), subject)]

    def reason(asked: Question, mapped: ItemMappings = MAPPED) -> str:
        (plan,) = planned(known, mapped, asked)
        return NotAskedReason.Name(plan.not_asked).removeprefix("NOT_ASKED_REASON_")

    assert reason(question(named=frozenset({SOUTH}))) == "NOT_NAMED"
    assert reason(question(reach=frozenset({"44"}))) == "OUTSIDE_LICENCE"
    assert reason(question(consented=frozenset({"44"}))) == "OUTSIDE_LICENCE"
    assert reason(question(items=("penalty", "tax"))) == "ITEMS_UNMAPPED"
    assert reason(question(), ItemMappings()) == "ITEMS_UNMAPPED"
    assert reason(question(subjects=elsewhere)) == "NO_SUBJECT"


def test_a_retry_is_planned_as_its_first_was_unless_that_may_not_be_had_any_more() -> None:
    def in_beijing_alone(subject: str) -> Mapping[str, frozenset[str]]:
        return {"penalty": frozenset({"11"})} if is_home(("11",), subject) else {}

    known = [Known(NORTH, ("11",), Told(9, frozenset(SUBJECTS))), Known(SOUTH, ("44",), None)]
    first = Kept(Translation((("penalty", "xzcf"),), (), 2), (0, 2, 4), 7, 2, charged=False)
    asked = question()._replace(kept={NORTH: first})
    north, south = planned(known, MAPPED, asked)
    assert north.not_asked == south.not_asked == ASKED
    kept = (north.translation, north.subjects, north.directory_time, north.proof)
    assert kept == tuple(first)[:-1]
    assert (south.translation.version, south.proof) == (3, 0)
    for less in (
        asked._replace(named=frozenset({SOUTH})),
        asked._replace(reach=in_beijing_alone),
    ):
        assert planned(known, MAPPED, less)[0].not_asked != ASKED


@pytest.mark.parametrize("now", [{}, {NORTH: {"penalty": "other"}}, {NORTH: {"tax": "xzcf"}}])
@pytest.mark.parametrize("charged", [False, True])
def test_a_retry_is_planned_by_a_former_mapping_for_what_was_charged_alone(
    now: Mapping[str, Mapping[str, str]], charged: bool
) -> None:
    known = [Known(NORTH, ("11",), None)]
    first = Kept(Translation((("penalty", "xzcf"),), (), 2), (0,), None, 2, charged)
    (plan,) = planned(known, mappings(now), question()._replace(kept={NORTH: first}))
    unmapped = NotAskedReason.NOT_ASKED_REASON_ITEMS_UNMAPPED
    assert plan.not_asked == (ASKED if charged else unmapped)
    assert (plan.translation == first.translation) == charged
    with pytest.raises(Refused) as refused:
        require_mapped(plan._replace(translation=first.translation), mappings(now))
    assert reason_name(refused.value.reason) == "ITEM_NOT_MAPPED"


def test_a_use_that_was_counted_for_some_regions_is_planned_for_those_alone() -> None:
    known = [Known(NORTH, ("11",), None), Known(SOUTH, ("44",), None)]
    asked = question(consented=frozenset({ALL_REGIONS}))
    plans = planned(known, MAPPED, asked._replace(counted=frozenset({SOUTH})))
    used = NotAskedReason.NOT_ASKED_REASON_CONSENT_USED
    assert [plan.not_asked for plan in plans] == [used, ASKED]
    plans = planned(known, MAPPED, asked._replace(counted=frozenset()))
    assert [plan.not_asked for plan in plans] == [used, used]


def test_a_subject_that_a_directory_leaves_out_is_asked_about_where_it_is_doubted() -> None:
    directory = Told(7, frozenset())
    known = [Known(NORTH, ("11",), directory)]
    elsewhere = [subject for subject in SUBJECTS if not is_home(("11",), subject)]
    doubts = iter([False, True, False, False, False, True])
    asked = question(subjects=elsewhere)._replace(doubts=lambda: next(doubts))
    (plan,) = planned(known, MAPPED, asked)
    assert (plan.subjects, plan.directory_time, plan.directory) == ((1, 5), 7, directory)
    (every,) = planned(known, MAPPED, question(subjects=elsewhere, every=True))
    # What it said is compared with what comes all the same.
    assert (len(every.subjects), every.directory_time, every.directory) == (6, None, directory)
    said = sum(doubted() for _ in range(100 * DOUBTED_ONE_IN))
    assert 40 < said < 200


@pytest.mark.parametrize(
    ("reach", "regions", "within"),
    [
        (["*"], ["000001", "110000"], True),
        (["11"], ["110000", "110105"], True),
        (["000003"], ["000003"], True),
        (["000003"], ["000003", "000001"], False),
        (["11"], ["000000"], False),
        (["11"], [], True),
    ],
)
def test_a_record_of_a_division_that_was_not_asked_for_is_not_believed(
    reach: list[str], regions: list[str], within: bool
) -> None:
    records = [DisclosedRecord(region=region) for region in regions]
    if within:
        require_reach(records, reach)
    else:
        with pytest.raises(ProofInvalid):
            require_reach(records, reach)
