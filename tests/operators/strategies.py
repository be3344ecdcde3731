"""Small worlds of authority in which everything that can matter happens often."""

from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st

from creditgate.v1.operator_service_pb2 import ClientRole, OperatorState
from creditgate.v1.vocabulary_pb2 import Purpose
from operators.authorization_details import AuthorizationDetail
from operators.decision import Ask
from operators.model import Licence, Operator, ScopeGrant
from operators.scope_definition import ScopeDefinition
from tests.operators import things
from tests.operators.naive import World
from tests.operators.things import READ

CREDIT, BIDDING = Purpose.PURPOSE_CREDIT_APPROVAL, Purpose.PURPOSE_BIDDING
ACTIVE = OperatorState.OPERATOR_STATE_ACTIVE
SUSPENDED = OperatorState.OPERATOR_STATE_SUSPENDED
REVOKED = OperatorState.OPERATOR_STATE_REVOKED
SCOPES = (
    READ,
    "credit.conformance:attest",
    "consents:watch",
    "operators:create",
    "catalogue:read",
)
MANAGED = {
    "credit.narrow:read": (READ,),
    "credit.both:use": (READ, "credit.conformance:attest"),
    "office:use": ("operators:create", "catalogue:read"),
}
NUMBERS = ("1", "2", "3")
# Bounds of validities lie within these; asks come on and between them.
INSTANTS = st.integers(0, 12)


def one_of_sets(*sets: str) -> st.SearchStrategy[frozenset[str]]:
    """Return one of the sets, each written as its words."""
    return st.sampled_from([frozenset(each.split()) for each in sets])


def mostly(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    """Return ``usual`` nine times in ten."""
    return st.sampled_from((*[usual] * 9 * len(others), *others))


ITEMS = one_of_sets("penalty", "penalty rating", "rating", "penalty licence rating")
NAMED_ITEMS = one_of_sets("", "", "penalty", "rating", "penalty rating", "penalty unknown")
REGIONS = one_of_sets("*", "11", "31", "1101 31", "110102 3101", "11 110102", "44", "44 1101")
PURPOSES = st.sampled_from(
    [frozenset({CREDIT}), frozenset({CREDIT, BIDDING}), frozenset({BIDDING})]
)
NO_ITEMS = NO_REGIONS = NO_PURPOSES = st.just(frozenset[Any]())
PERIODS = mostly((0, 12), (0, 4), (3, 9), (4, 5), (6, 12))
ENDED = mostly(None, 1)


@st.composite
def details(draw: st.DrawFn) -> AuthorizationDetail:
    """Return an authorization detail; most of what it may narrow, it leaves out."""
    fields: dict[str, Any] = {"type": "public_credit_data"}
    if draw(st.booleans()):
        fields["items"] = draw(ITEMS)
    if draw(st.booleans()):
        fields["purposes"] = draw(one_of_sets("CREDIT_APPROVAL", "CREDIT_APPROVAL BIDDING"))
    if draw(st.booleans()):
        fields["regions"] = draw(REGIONS)
    start, until = draw(PERIODS)
    fields["period"] = {"from": start, "until": until}
    return AuthorizationDetail.model_validate(fields)


def operators(operator_id: str) -> st.SearchStrategy[Operator]:
    """Return an operator, mostly active."""
    states = mostly(ACTIVE, SUSPENDED, REVOKED)
    return states.map(lambda state: things.operator(operator_id=operator_id, state=state))


@st.composite
def licences(draw: st.DrawFn, number: str) -> Licence:
    """Return a licence, mostly alpha's."""
    start, end = draw(PERIODS)
    return things.licence(
        number=number,
        operator_id=draw(mostly("alpha", "beta")),
        valid_from=start,
        valid_until=end,
        items=draw(ITEMS),
        purposes=draw(PURPOSES),
        regions=draw(REGIONS),
        daily_record_quota=draw(st.integers(0, 5)),
        revoked_at=draw(ENDED),
    )


@st.composite
def grants(draw: st.DrawFn, grant_id: str) -> ScopeGrant:
    """Return a grant, mostly of the records scope to alpha."""
    start, end = draw(PERIODS)
    return things.grant(
        grant_id=grant_id,
        grantee=draw(mostly("alpha", "office", "beta")),
        scope=draw(mostly(READ, *SCOPES) | st.sampled_from(sorted(MANAGED))),
        valid_from=start,
        valid_until=None if end == 12 else end,
        items=draw(NO_ITEMS | ITEMS),
        purposes=draw(NO_PURPOSES | PURPOSES),
        regions=draw(NO_REGIONS | REGIONS),
        withdrawn_at=draw(ENDED),
    )


@st.composite
def definitions(draw: st.DrawFn, name: str) -> ScopeDefinition:
    """Return the definition of a managed scope, seldom retired."""
    return things.definition(
        name=name,
        scopes=MANAGED[name],
        items=draw(NO_ITEMS | ITEMS),
        purposes=draw(NO_PURPOSES | PURPOSES),
        regions=draw(NO_REGIONS | REGIONS),
        retired_at=draw(ENDED),
    )


def _of_each(make: Any) -> st.SearchStrategy[list[Any]]:
    counts = st.sampled_from((0, 1, 1, 1, 2, 2, 2, 2, 3, 3))
    return counts.flatmap(lambda count: st.tuples(*map(make, NUMBERS[:count])).map(list))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Return operators, licences, clients and grants that have to do with each other."""
    office = (ClientRole.CLIENT_ROLE_ADMINISTRATOR, ClientRole.CLIENT_ROLE_PUBLISHER)
    known: Iterable[str] = draw(mostly(("alpha", "beta"), ("beta",)))
    return World(
        [draw(operators(each)) for each in known],
        draw(_of_each(licences)),
        [
            things.client(removed_at=draw(ENDED)),
            things.client(client_id="beta-one", operator_id="beta"),
            things.client(client_id="office", role=draw(st.sampled_from(office)), operator_id=""),
        ],
        draw(_of_each(grants)),
        # One left undefined: granted, it opens nothing.
        [draw(definitions(name)) for name in draw(mostly(tuple(MANAGED), (), ("office:use",)))],
    )


def asks() -> st.SearchStrategy[Ask]:
    """Return asks, mostly of alpha's client under the records scope."""
    return st.builds(
        Ask,
        client_id=mostly("alpha-one", "beta-one", "office", "nobody"),
        scope=mostly(READ, *SCOPES),
        token_scopes=mostly(
            frozenset(SCOPES),
            frozenset({READ}),
            frozenset({"credit.narrow:read"}),
            frozenset({"credit.both:use", "office:use"}),
            frozenset[str](),
        ),
        items=NAMED_ITEMS,
        purpose=mostly(CREDIT, BIDDING, 0),
        detail=st.none() | details(),
    )
