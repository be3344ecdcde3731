"""What counts as widening: after any other change nobody can do more than before."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.administration.widening import widens
from operators.authority import Authority
from operators.decision import Allow, Ask
from operators.log import Change, Draft
from operators.rules import decide
from operators.shapes import covers
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


def _reach(authority: Authority) -> set[tuple[object, ...]]:
    return {
        (client, scope, token, item, purpose, now, district)
        for client in ("alpha-one", "beta-one")
        for scope in (READ, "credit.conformance:attest")
        for token in (frozenset({scope}), frozenset({"credit.narrow:read"}))
        for item in ("penalty", "rating")
        for purpose in (CREDIT, BIDDING)
        for now in (1, 3, 4, 7)
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


def test_what_does_not_widen_lets_nobody_do_more() -> None:
    met: Counter[tuple[str, bool]] = Counter()

    @settings(max_examples=600, database=None, derandomize=True)
    @given(worlds(), CHANGED)
    def holds(world: World, thing: Thing) -> None:
        before = authority_of(
            *world.operators, *world.licences, *world.clients, *world.grants, *world.definitions
        )
        draft, after = _changed(before, thing)
        wide = widens(before, draft)
        met[draft.kind, wide] += 1
        if not wide:
            assert _reach(after) <= _reach(before)

    holds()
    for kind in ("operator", "licence", "scope_grant", "scope_definition"):
        assert met[kind, True] > 5
        assert met[kind, False] > 5


def test_a_kind_of_thing_unknown_here_counts_as_widening() -> None:
    assert widens(Authority.empty(), Draft("unheard", "x", 0, {}))
