"""What counts as widening: after any other change nobody can do more than before."""

from collections import Counter

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gateway.administration.widening import widens
from operators.authority import Authority
from operators.decision import Allow, Ask
from operators.log import Change, Draft
from operators.model import ScopeGrant
from operators.rules import decide
from operators.scope_definition import DAY_SECONDS, ScopeDefinition
from operators.shapes import covers
from tests.examples import examples
from tests.operators import things
from tests.operators.naive import DISTRICTS, World
from tests.operators.strategies import (
    BIDDING,
    CREDIT,
    MANAGED,
    definitions,
    grants,
    licences,
    operators,
    worlds,
)
from tests.operators.things import READ, Thing, authority_of

CHANGED = st.one_of(
    operators("alpha"),
    st.sampled_from("123").flatmap(licences),
    st.sampled_from("123").flatmap(grants),
    st.sampled_from(sorted(MANAGED)).flatmap(definitions),
    st.sampled_from([None, 3]).map(lambda at: things.client(removed_at=at)),
)
NARROW = "credit.narrow:read"
ATTEST = "credit.conformance:attest"
PRESENT = (
    things.operator(),
    things.licence(
        items={"penalty", "licence", "rating"},
        purposes={CREDIT, BIDDING},
        valid_until=9 * DAY_SECONDS,
    ),
    things.client(),
)


def _reach(authority: Authority) -> set[tuple[object, ...]]:
    return {
        (client, scope, token, item, purpose, now, district)
        for client in ("alpha-one", "beta-one")
        for scope in (READ, ATTEST)
        for token in (frozenset({scope}), frozenset({NARROW}))
        for item in ("penalty", "rating")
        for purpose in (CREDIT, BIDDING)
        for now in (1, 3, 4, 7, DAY_SECONDS)
        if isinstance(
            decision := decide(
                authority, Ask(client, scope, token, frozenset({item}), purpose), now
            ),
            Allow,
        )
        for district in DISTRICTS
        if covers(decision.regions_by_item[item], district)
    }


def _changed(authority: Authority, thing: Thing) -> tuple[Draft, Authority]:
    kind, id_ = things.named(thing)
    version = authority.version_of(kind, id_)
    draft = Draft(kind, id_, version, thing.as_document())
    change = Change(
        authority.sequence + 1, kind, id_, version + 1, draft.document, "office", 5, "test"
    )
    return draft, authority.advanced([change])


@pytest.mark.parametrize(
    "examples",
    [pytest.param(400, id="few"), pytest.param(2_000, id="many", marks=pytest.mark.soak)],
)
def test_what_does_not_widen_lets_nobody_do_more(examples: int) -> None:
    met: Counter[tuple[str, bool]] = Counter()

    @settings(max_examples=examples, database=None, derandomize=True)
    @given(worlds(), CHANGED)
    def holds(world: World, thing: Thing) -> None:
        before = authority_of(
            *world.operators, *world.licences, *world.clients, *world.grants, *world.definitions
        )
        draft, after = _changed(before, thing)
        wide = widens(before, draft, {})
        met[draft.kind, wide] += 1
        if not wide:
            assert _reach(after) <= _reach(before)

    holds()
    for kind in ("operator", "licence", "scope_grant", "scope_definition"):
        assert met[kind, True]
        assert met[kind, False]


@settings(max_examples=examples(300))
@given(
    grants("1"),
    grants("1"),
    st.sets(
        st.sampled_from(("items", "purposes", "regions", "scope", "valid_until", "withdrawn_at")),
        max_size=2,
    ),
    st.tuples(st.sampled_from((0, 3, 6)), st.sampled_from((0, 3, 6))),
    definitions(NARROW),
)
def test_a_grant_that_is_not_widened_gives_no_more(
    first: ScopeGrant,
    other: ScopeGrant,
    fields: set[str],
    starts: tuple[int, int],
    definition: ScopeDefinition,
) -> None:
    granted = first.model_copy(update={"grantee": "alpha", "valid_from": starts[0]})
    taken = {name: getattr(other, name) for name in fields}
    changed = granted.model_copy(update={**taken, "valid_from": starts[1]})
    ends = {granted.valid_until, changed.valid_until} - {None}
    assume(all(end is not None and end > max(starts) for end in ends))
    before = authority_of(*PRESENT, definition, granted)
    draft, after = _changed(before, changed)
    assert widens(before, draft, {}) or _reach(after) <= _reach(before)


@settings(max_examples=examples(200))
@given(
    definitions(NARROW),
    definitions(NARROW),
    st.sampled_from([{READ}, {ATTEST}, {READ, ATTEST}]),
    st.sampled_from([{READ}, {ATTEST}, {READ, ATTEST}]),
    st.sampled_from([None, 1, 2]),
    st.sampled_from([None, 1, 2]),
)
def test_a_definition_that_is_not_widened_gives_no_more(
    first: ScopeDefinition,
    second: ScopeDefinition,
    scopes: set[str],
    later_scopes: set[str],
    days: int | None,
    later_days: int | None,
) -> None:
    granted = things.grant(scope=NARROW, valid_from=0, valid_until=None)
    bounded = {"scopes": frozenset(scopes), "longest_validity_days": days}
    later = {"scopes": frozenset(later_scopes), "longest_validity_days": later_days}
    before = authority_of(*PRESENT, granted, first.model_copy(update=bounded))
    draft, after = _changed(before, second.model_copy(update=later))
    assert widens(before, draft, {}) or _reach(after) <= _reach(before)


def test_a_kind_of_thing_unknown_here_counts_as_widening() -> None:
    assert widens(Authority.empty(), Draft("unheard", "x", 0, {}), {})
