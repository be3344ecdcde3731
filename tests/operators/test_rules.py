"""The decision: against a naive model, in time, and in what its words promise (G3)."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from creditgate.refusal import reason_name
from creditgate.v1.operator_service_pb2 import ClientRole, OperatorState
from creditgate.v1.vocabulary_pb2 import Purpose
from operators.authority import Authority
from operators.authorization_details import AuthorizationDetail
from operators.decision import Allow, Ask, Refuse, UnderLicence
from operators.duties import DUTY_SCOPES
from operators.roles import scopes_of_role
from operators.rules import decide, may_call
from operators.shapes import END_OF_TIME, covers
from tests.examples import examples
from tests.operators import naive
from tests.operators.naive import DISTRICTS, Answer, World
from tests.operators.strategies import INSTANTS, asks, worlds
from tests.operators.things import (
    CREDIT,
    READ,
    Thing,
    authority_of,
    client,
    grant,
    licence,
    operator,
)

ASK = Ask("alpha-one", READ, frozenset({READ}), frozenset(), CREDIT)


def authority(world: World) -> Authority:
    """Return the authority of a world."""
    return authority_of(
        *world.operators, *world.licences, *world.clients, *world.grants, *world.definitions
    )


def told(decision: Allow | Refuse) -> Answer | str:
    """Return a decision as the naive model tells it."""
    if isinstance(decision, Refuse):
        return reason_name(decision.reason)
    assert decision.regions_by_item.keys() == decision.items
    numbers = [each.number for each in decision.licences]
    assert numbers == sorted(set(numbers))
    answer = Answer(
        frozenset(
            (licence.number, item, district)
            for licence in decision.licences
            for item, regions in licence.regions_by_item.items()
            for district in DISTRICTS
            if covers(regions, district)
        ),
        frozenset(decision.grant_ids),
        frozenset((each.number, each.daily_record_quota) for each in decision.licences),
    )
    assert answer.pairs == {
        (item, district)
        for item, regions in decision.regions_by_item.items()
        for district in DISTRICTS
        if covers(regions, district)
    }
    return answer


def naively(world: World, ask: Ask, now: int) -> Answer | str:
    """Return what the naive model says."""
    detail = None if ask.detail is None else ask.detail.as_json()
    return naive.answer(
        world, ask.client_id, ask.scope, ask.token_scopes, ask.items, ask.purpose, now, detail
    )


@settings(max_examples=examples(200))
@given(worlds(), asks(), INSTANTS)
def test_a_decision_is_that_of_the_naive_model(world: World, ask: Ask, now: int) -> None:
    assert told(decide(authority(world), ask, now)) == naively(world, ask, now)


@settings(max_examples=examples(200))
@given(worlds(), asks(), INSTANTS)
def test_a_call_is_let_in_as_by_the_naive_model(world: World, ask: Ask, now: int) -> None:
    refuse = may_call(authority(world), ask.client_id, ask.scope, ask.token_scopes, now)
    reason = None if refuse is None else reason_name(refuse.reason)
    assert reason == naive.why_not_call(world, ask.client_id, ask.scope, ask.token_scopes, now)


@settings(max_examples=examples(200))
@given(worlds(), asks(), st.lists(INSTANTS, min_size=1, max_size=8))
def test_a_remembered_decision_is_right_at_its_instant(
    world: World, ask: Ask, instants: list[int]
) -> None:
    state = authority(world)
    for now in instants:
        assert told(decide(state, ask, now)) == naively(world, ask, now)


@settings(max_examples=examples(200))
@given(worlds(), asks(), INSTANTS)
def test_an_allowance_stands_until_it_says(world: World, ask: Ask, now: int) -> None:
    decision = decide(authority(world), ask, now)
    if isinstance(decision, Allow):
        assert now < decision.stands_until
        for later in range(now, min(decision.stands_until, 13)):
            assert naively(world, ask, later) == told(decision)


@pytest.mark.soak
def test_the_naive_worlds_meet_every_reason() -> None:
    met: Counter[str] = Counter()

    @settings(max_examples=600, database=None, derandomize=True)
    @given(worlds(), asks(), INSTANTS)
    def meet(world: World, ask: Ask, now: int) -> None:
        given = naively(world, ask, now)
        met[given if isinstance(given, str) else "ALLOWED"] += 1

    meet()
    assert met.keys() == {
        "ALLOWED",
        "CLIENT_NOT_ACTIVE",
        "OPERATOR_REVOKED",
        "OPERATOR_SUSPENDED",
        "NO_LICENCE",
        "SCOPE_NOT_GRANTED",
        "DETAILS_NOT_IN_FORCE",
        *naive.STAGES,
    }
    assert met["ALLOWED"] > 60


def reason(ask: Ask, *things: Thing, now: int = 10) -> str:
    """Return why an ask is refused."""
    decision = decide(authority_of(*things), ask, now)
    assert isinstance(decision, Refuse)
    return reason_name(decision.reason)


def test_an_allowance_names_what_it_rests_on() -> None:
    state = authority_of(operator(), licence(), client(), grant(valid_until=500))
    assert decide(state, ASK, 10) == Allow(
        operator_id="alpha",
        licences=(UnderLicence("L-1", 100, {"penalty": frozenset({"*"})}, 1_000_000),),
        items=frozenset({"penalty"}),
        grant_ids=("G-1",),
        stands_until=500,
        regions_by_item={"penalty": frozenset({"*"})},
    )


def test_a_validity_holds_from_its_first_second_up_to_its_end() -> None:
    state = authority_of(operator(), licence(valid_from=100), client(), grant())
    granted = [isinstance(decide(state, ASK, now), Allow) for now in (99, 100, 999, 1000)]
    assert granted == [False, True, True, False]


def test_a_decision_stands_until_the_tokens_detail_begins_or_ends() -> None:
    period = {"from": 50, "until": 90}
    detail = AuthorizationDetail.model_validate({"type": "public_credit_data", "period": period})
    state = authority_of(operator(), licence(), client(), grant())
    decisions = [decide(state, ASK._replace(detail=detail), now) for now in (49, 50, 89, 90)]
    told = ["", "ALLOWED", "ALLOWED", ""]
    assert ["ALLOWED" if isinstance(each, Allow) else "" for each in decisions] == told
    assert [each.stands_until for each in decisions if isinstance(each, Allow)] == [90, 90]


def test_what_has_no_end_stands_to_the_end_of_time() -> None:
    refused = authority_of(operator(), client(), grant())
    assert isinstance(decide(refused, ASK, END_OF_TIME - 1), Refuse)
    ending = authority_of(operator(), licence(valid_until=END_OF_TIME), client(), grant())
    decision = decide(ending, ASK, 10)
    assert isinstance(decision, Allow)
    assert decision.stands_until == END_OF_TIME


def test_several_licences_open_together_what_each_opens_and_nothing_more() -> None:
    state = authority_of(
        operator(),
        licence(number="L-1", items={"penalty", "rating"}, regions={"11"}),
        licence(number="L-2", items={"rating"}, regions={"31"}, daily_record_quota=7),
        licence(number="L-3", items={"merit"}, purposes={Purpose.PURPOSE_BIDDING}),
        client(),
        grant(),
    )
    decision = decide(state, ASK, 10)
    assert isinstance(decision, Allow)
    assert decision.regions_by_item == {"penalty": {"11"}, "rating": {"11", "31"}}
    assert [(each.number, each.daily_record_quota) for each in decision.licences] == [
        ("L-1", 100),
        ("L-2", 7),
    ]
    both = decide(state, ASK._replace(items=frozenset({"penalty", "rating"})), 10)
    assert isinstance(both, Allow)
    assert both.regions_by_item == decision.regions_by_item
    rating = decide(state, ASK._replace(items=frozenset({"rating"})), 10)
    assert isinstance(rating, Allow)
    assert rating.alone() is None


def test_of_licences_that_open_all_alone_the_largest_is_named() -> None:
    state = authority_of(
        operator(),
        licence(number="L-1"),
        licence(number="L-2", daily_record_quota=900),
        licence(number="L-3", items={"penalty", "rating"}, daily_record_quota=900),
        client(),
        grant(),
    )
    named = decide(state, ASK._replace(items=frozenset({"penalty"})), 10)
    assert isinstance(named, Allow)
    alone = named.alone()
    assert alone is not None
    assert [each.number for each in alone.licences] == ["L-2"]
    everything = decide(state, ASK, 10)
    assert isinstance(everything, Allow)
    alone = everything.alone()
    assert alone is not None
    assert [each.number for each in alone.licences] == ["L-3"]


def test_two_grants_do_not_open_each_others_places() -> None:
    state = authority_of(
        operator(),
        licence(items={"penalty", "rating"}),
        client(),
        grant(grant_id="G-1", items={"penalty"}, regions={"11"}),
        grant(grant_id="G-2", items={"rating"}, regions={"31"}),
    )
    decision = decide(state, ASK, 10)
    assert isinstance(decision, Allow)
    assert decision.regions_by_item == {"penalty": {"11"}, "rating": {"31"}}


def test_items_named_together_are_given_together_or_refused() -> None:
    things = (
        operator(),
        licence(items={"penalty", "rating"}, regions={"11"}),
        client(),
        grant(grant_id="G-1", items={"penalty"}),
        grant(grant_id="G-2", items={"rating"}, regions={"31"}),
    )
    both = Ask("alpha-one", READ, frozenset({READ}), frozenset({"penalty", "rating"}), CREDIT)
    assert reason(both, *things) == "REGION_NOT_ALLOWED"
    decision = decide(authority_of(*things), ASK, 10)
    assert isinstance(decision, Allow)
    assert decision.regions_by_item == {"penalty": {"11"}}
    assert decision.grant_ids == ("G-1",)


def test_a_scope_outside_the_role_is_refused_though_granted() -> None:
    scope = "operators:create"
    ask = Ask("alpha-one", scope, frozenset({scope}), frozenset(), CREDIT)
    assert reason(ask, operator(), licence(), client(), grant(scope=scope)) == "SCOPE_NOT_GRANTED"


def test_only_operators_take_records() -> None:
    office = client(client_id="office", role=ClientRole.CLIENT_ROLE_ADMINISTRATOR, operator_id="")
    scope = "catalogue:read"
    ask = Ask("office", scope, frozenset({scope}), frozenset(), CREDIT)
    state = authority_of(office, grant(grantee="office", scope=scope))
    assert may_call(state, "office", scope, frozenset({scope}), 10) is None
    decision = decide(state, ask, 10)
    assert isinstance(decision, Refuse)
    assert reason_name(decision.reason) == "SCOPE_NOT_GRANTED"


@pytest.mark.parametrize(
    ("things", "expected"),
    [
        ((), "CLIENT_NOT_ACTIVE"),
        ((operator(), licence(), client(removed_at=3), grant()), "CLIENT_NOT_ACTIVE"),
        ((licence(), client(), grant()), "CLIENT_NOT_ACTIVE"),
        (
            (operator(state=OperatorState.OPERATOR_STATE_REVOKED), client(), grant()),
            "OPERATOR_REVOKED",
        ),
        (
            (operator(state=OperatorState.OPERATOR_STATE_SUSPENDED), client(), grant()),
            "OPERATOR_SUSPENDED",
        ),
        ((operator(), licence(revoked_at=3), client()), "NO_LICENCE"),
        ((operator(), licence(), client()), "SCOPE_NOT_GRANTED"),
        ((operator(), licence(), client(), grant(withdrawn_at=3)), "SCOPE_NOT_GRANTED"),
        ((operator(), licence(), client(), grant(grantee="beta")), "SCOPE_NOT_GRANTED"),
        (
            (operator(), licence(), client(), grant(purposes={Purpose.PURPOSE_BIDDING})),
            "PURPOSE_NOT_ALLOWED",
        ),
        ((operator(), licence(), client(), grant(items={"rating"})), "ITEM_NOT_ALLOWED"),
        (
            (operator(), licence(regions={"11"}), client(), grant(regions={"31"})),
            "REGION_NOT_ALLOWED",
        ),
    ],
)
def test_the_first_reason_that_applies_is_given(things: tuple[Thing, ...], expected: str) -> None:
    assert reason(ASK, *things) == expected


STOPPED = (
    (operator(state=OperatorState.OPERATOR_STATE_SUSPENDED), licence()),
    (operator(state=OperatorState.OPERATOR_STATE_REVOKED), licence()),
    (operator(), licence(revoked_at=3)),
    (operator(),),
)


@pytest.mark.parametrize("standing", STOPPED)
def test_duties_alone_stay_open_to_an_operator_that_may_not_act(
    standing: tuple[Thing, ...],
) -> None:
    scopes = scopes_of_role(ClientRole.CLIENT_ROLE_OPERATOR)
    grants = [grant(grant_id=f"G-{n}", scope=scope) for n, scope in enumerate(scopes)]
    state = authority_of(*standing, client(), *grants)
    assert {
        scope for scope in scopes if may_call(state, "alpha-one", scope, scopes, 10) is None
    } == {
        "consents:read",
        "consents:revoke",
        "consents:watch",
        "credit.conformance:acknowledge",
        "credit.conformance:answer",
        "credit.conformance:attest",
        "credit.conformance:contest",
        "credit.conformance:read",
        "credit.conformance:reconcile",
        "credit.conformance:watch",
        "credit.regions:watch",
    }


@pytest.mark.parametrize("standing", STOPPED)
@pytest.mark.parametrize("scope", sorted(DUTY_SCOPES))
def test_records_are_no_duty(standing: tuple[Thing, ...], scope: str) -> None:
    ask = Ask("alpha-one", scope, frozenset({scope}), frozenset(), CREDIT)
    assert reason(ask, *standing, client(), grant(scope=scope)) in {
        "OPERATOR_SUSPENDED",
        "OPERATOR_REVOKED",
        "NO_LICENCE",
    }


@pytest.mark.parametrize("scope", sorted(DUTY_SCOPES))
def test_duties_too_take_a_client_a_grant_and_a_token_that_stand(scope: str) -> None:
    held = frozenset({scope})
    suspended = operator(state=OperatorState.OPERATOR_STATE_SUSPENDED)
    granted = grant(scope=scope)
    for things, token, expected in (
        ((client(removed_at=3), granted), held, "CLIENT_NOT_ACTIVE"),
        ((client(), grant(scope=scope, withdrawn_at=3)), held, "SCOPE_NOT_GRANTED"),
        ((client(),), held, "SCOPE_NOT_GRANTED"),
        ((client(), granted), frozenset[str](), "SCOPE_NOT_GRANTED"),
    ):
        refuse = may_call(authority_of(suspended, *things), "alpha-one", scope, token, 10)
        assert refuse is not None
        assert reason_name(refuse.reason) == expected


def test_a_refusal_never_tells_what_was_asked_for() -> None:
    ask = Ask("alpha-one", READ, frozenset({READ}), frozenset({"secret-item"}), CREDIT)
    decision = decide(authority_of(operator(), licence(), client(), grant()), ask, 10)
    assert isinstance(decision, Refuse)
    assert "secret-item" not in decision.message
