"""G10: nothing that an asking region says opens more than home licence and credential both do."""

import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeVar

import pytest
from authlib.oauth2 import OAuth2Error
from hypothesis import event, given, settings
from hypothesis import strategies as st

from creditgate.refusal import Refused, reason_name
from creditgate.v1.operator_service_pb2 import ClientRole
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.authorise.bounds import Ground, subject_bounds
from gateway.authorise.gate import Gate
from gateway.disclose.model import LiveRevision
from gateway.federation.home.bounds import Bound, Details, for_ask, mapped, within
from gateway.federation.home.exchange import LicenceExchange
from gateway.federation.home.licence import Licence
from gateway.federation.home.service import SCOPE
from gateway.federation.trust.book import Region
from gateway.oauth.client import RegisteredClient
from gateway.oauth.keys import SigningKeyBook
from operators.authorization_details import PURPOSE_NAMES, TYPE, AuthorizationDetail
from operators.decision import Ask
from operators.model import Licence as HomeLicence
from operators.model import ScopeGrant
from operators.shapes import covers
from tests.authorise.world import item, lines_of, plan, view_of
from tests.clock import StandingClock
from tests.examples import examples
from tests.meter.world import company
from tests.operators.things import client, grant, licence, operator

_Value = TypeVar("_Value")
ENTITY: Final = "https://asking.example"
AUDIENCE: Final = "urn:creditgate:records"
HERE: Final = ("penalty", "rating", "tax")
THERE: Final = ("x-penalty", "x-rating", "x-tax", "x-other")
PURPOSES: Final = (Purpose.PURPOSE_CREDIT_APPROVAL, Purpose.PURPOSE_SUPPLIER_CHECK)
SUBJECTS: Final = (company(1), company(2))
PLACES: Final = ("110101", "310101", "440101")
LINES: Final = lines_of(*((code, place) for code in HERE for place in PLACES))
FOUND: Final = [
    LiveRevision(subject, 100 * number + line_no, line_no, 0, 100, b"")
    for number, subject in enumerate(SUBJECTS)
    for line_no in LINES
]
NOW: Final = 5
REGION: Final = Region(
    entity_id=ENTITY,
    operator_id="alpha",
    client_id="alpha-one",
    grpc=(),
    issuer=ENTITY,
    roots=b"",
    certificate_thumbprints=frozenset(),
    codes=("44",),
    log_keys={},
    jwks="",
    document_keys="",
    catalogue="",
    catalogue_version="",
    stands_until=50,
)


class Told:
    """Licences as they were shown, the newest last."""

    def __init__(self, told: Licence) -> None:
        self.told = told

    def shown(self, credential: str, region: Region) -> Licence:
        """Return the licence that the test tells."""
        del credential, region
        return self.told

    def stands(self, credential: str, region: Region) -> bool:
        """Tell that it stands."""
        del credential, region
        return True


class Asked(NamedTuple):
    """Everything that a query is decided by."""

    licences: tuple[HomeLicence, ...]
    grants: tuple[ScopeGrant, ...]
    at_exchange: Licence
    at_call: Licence
    mapping: dict[str, str]
    details: list[dict[str, Any]] | None
    items: frozenset[str]
    purpose: int


_places = st.just({"*"}) | st.sets(
    st.sampled_from(("11", "1101", "110101", "31", "310101")), min_size=2, max_size=3
)
# Most of them hold at NOW.
_periods = st.tuples(st.integers(0, 6), st.integers(4, 12)).map(
    lambda two: (min(two), max(two) + 2)
)


def _most(universe: Sequence[_Value]) -> st.SearchStrategy[frozenset[_Value]]:
    """Return any set that lacks one of ``universe`` at most: too little for all is soon nothing."""
    return st.none().map(lambda _: frozenset(universe)) | st.sampled_from(universe).map(
        lambda left_out: frozenset(universe) - {left_out}
    )


_purposes = _most(PURPOSES)
_names = _purposes.map(lambda some: frozenset(PURPOSE_NAMES[each] for each in some))


@st.composite
def licences(draw: st.DrawFn) -> Licence:
    """Return any licence of the asking region."""
    start, until = draw(_periods)
    return Licence(
        region=ENTITY,
        operator_id="op",
        number="N-1",
        items=draw(_most(THERE)),
        purposes=draw(_names),
        regions=frozenset(draw(_places)),
        start=start,
        until=until,
    )


@st.composite
def home_licences(draw: st.DrawFn) -> tuple[HomeLicence, ...]:
    """Return any licences that the region has here."""
    return tuple(
        licence(
            number=f"L-{number}",
            items=draw(_most(HERE)),
            purposes=draw(_purposes),
            regions=draw(_places),
        )
        for number in range(draw(st.integers(1, 2)))
    )


@st.composite
def home_grants(draw: st.DrawFn) -> tuple[ScopeGrant, ...]:
    """Return any grants that the region has here."""
    return tuple(
        grant(
            grant_id=f"G-{number}",
            scope=SCOPE,
            items=draw(st.just(frozenset[str]()) | _most(HERE)),
            purposes=draw(st.just(frozenset[int]()) | _purposes),
            regions=draw(st.sets(st.sampled_from(("11", "31")), max_size=1)),
        )
        for number in range(draw(st.integers(1, 2)))
    )


@st.composite
def asked_details(draw: st.DrawFn) -> dict[str, Any]:
    """Return any detail that a region may ask a token for."""
    start, until = draw(_periods)
    fields: dict[str, Any] = {
        "items": sorted(draw(_most(HERE))),
        "subjects": sorted(draw(st.sets(st.sampled_from(SUBJECTS), min_size=1))),
        "purposes": sorted(draw(_names)),
        "regions": sorted(draw(_places)),
        "period": {"from": start, "until": until},
    }
    kept = draw(st.sets(st.sampled_from(sorted(fields)), max_size=2))
    return {"type": "public_credit_data", **{name: fields[name] for name in kept}}


@st.composite
def queries(draw: st.DrawFn) -> Asked:
    """Return any query, with what it is decided by."""
    there = draw(st.permutations(THERE))
    mapping: dict[str, str] = dict(zip(there, draw(st.permutations(HERE)), strict=False))
    for dropped in draw(st.sets(st.sampled_from(THERE), max_size=1)):
        mapping.pop(dropped, None)
    return Asked(
        licences=draw(home_licences()),
        grants=draw(home_grants()),
        at_exchange=draw(licences()),
        at_call=draw(licences()),
        mapping=mapping,
        details=draw(st.none() | st.lists(asked_details(), min_size=1, max_size=2)),
        items=draw(st.sampled_from(HERE).map(lambda code: frozenset({code})) | _most(HERE)),
        purpose=draw(st.sampled_from(PURPOSES)),
    )


def token_details(asked: Asked) -> Details:
    """Return the details of the token that the exchange gives. Raises OAuth2Error."""
    exchange = LicenceExchange(
        lambda _: REGION,
        Told(asked.at_exchange),
        lambda _: asked.mapping,
        StandingClock(NOW),
        AUDIENCE,
        300,
    )
    record = client(role=ClientRole.CLIENT_ROLE_REGION)
    region = RegisteredClient(record, None, frozenset({SCOPE}), SigningKeyBook.empty())
    form = {"subject_token": "shown"}
    if asked.details is not None:
        form["authorization_details"] = json.dumps(asked.details)
    return exchange(region, form).client.details


def served(asked: Asked) -> set[tuple[str, str, str]]:
    """Return subject, item and place of all that the query is served. Raises what refuses it."""
    details = for_ask(token_details(asked), asked.at_call.bound(asked.mapping), asked.items)
    ask = Ask("alpha-one", SCOPE, frozenset({SCOPE}), asked.items, asked.purpose)
    view = view_of(
        operator(),
        client(role=ClientRole.CLIENT_ROLE_REGION),
        *asked.licences,
        *asked.grants,
        plan(),
        *(item(code) for code in HERE),
    )
    ground = Ground(view, LINES, NOW)
    limits = subject_bounds(Gate(), ground, ask, details, SUBJECTS, "")
    passage, rows = limits.applied(FOUND)
    return {
        (row.subject, LINES[row.line_no].item, LINES[row.line_no].region)
        for row in rows
        if row.line_no in passage.prices
    }


def allowed_there(told: Licence, asked: Asked, code: str, place: str) -> bool:
    """Tell whether a licence of the asking region allows a use, by itself."""
    return (
        any(asked.mapping.get(there) == code for there in told.items)
        and PURPOSE_NAMES[asked.purpose] in told.purposes
        and covers(told.regions, place)
        and told.start <= NOW < told.until
    )


def allowed_here(asked: Asked, code: str, place: str) -> bool:
    """Tell whether a licence and a grant of the region here allow a use, by themselves."""
    licensed = any(
        code in each.items and asked.purpose in each.purposes and covers(each.regions, place)
        for each in asked.licences
    )
    granted = any(
        (not each.items or code in each.items)
        and (not each.purposes or asked.purpose in each.purposes)
        and (not each.regions or covers(each.regions, place))
        for each in asked.grants
    )
    return licensed and granted


def detailed(asked: Asked, subject: str, code: str, place: str) -> bool:
    """Tell whether the details that were asked for allow a use, by themselves."""
    details = map(AuthorizationDetail.model_validate, asked.details or [{"type": TYPE}])
    return any(
        (not each.items or code in each.items)
        and each.covers_subject(subject)
        and each.covers_purpose(asked.purpose)
        and (not each.regions or covers(each.regions, place))
        and each.in_force(NOW)
        for each in details
    )


@settings(max_examples=examples(400))
@given(queries())
def test_a_query_is_served_nothing_that_one_of_all_parties_does_not_allow(asked: Asked) -> None:
    try:
        given_out = served(asked)
    except Refused as refused:
        event(reason_name(refused.reason))
        return
    except OAuth2Error:
        event("no token")
        return
    event("served" if given_out else "served nothing")
    for subject, code, place in given_out:
        assert code in asked.items
        assert allowed_here(asked, code, place)
        assert allowed_there(asked.at_exchange, asked, code, place)
        assert allowed_there(asked.at_call, asked, code, place)
        assert detailed(asked, subject, code, place)


@settings(max_examples=examples(400))
@given(queries())
def test_what_every_party_allows_for_an_item_is_served(asked: Asked) -> None:
    # One licence and one grant here, and no details: then nothing else stands in the way.
    asked = asked._replace(
        licences=asked.licences[:1],
        grants=asked.grants[:1],
        details=None,
        items=frozenset({min(asked.items)}),
        at_call=asked.at_exchange,
    )
    (code,) = asked.items
    wanted = {
        (subject, code, place)
        for subject in SUBJECTS
        for place in PLACES
        if allowed_here(asked, code, place) and allowed_there(asked.at_call, asked, code, place)
    }
    try:
        assert served(asked) == wanted
    except (Refused, OAuth2Error):
        assert not wanted


ALL: Final = Licence(
    ENTITY, "op", "N-1", frozenset(THERE), frozenset(PURPOSE_NAMES.values()), frozenset("*"), 0, 10
)
WHOLE: Final = Asked(
    (licence(items=set(HERE), purposes=set(PURPOSES)),),
    (grant(scope=SCOPE),),
    ALL,
    ALL,
    {"x-penalty": "penalty", "x-rating": "rating", "x-tax": "tax"},
    None,
    frozenset({"penalty"}),
    PURPOSES[0],
)


def why(asked: Asked) -> str:
    """Return why a query is refused."""
    with pytest.raises(Refused) as refused:
        served(asked)
    return reason_name(refused.value.reason)


def test_a_query_that_all_allow_is_served() -> None:
    assert served(WHOLE) == {
        (subject, "penalty", place) for subject in SUBJECTS for place in PLACES
    }


def test_an_item_that_is_not_mapped_is_never_all_items() -> None:
    with pytest.raises(OAuth2Error, match="counterpart"):
        token_details(WHOLE._replace(mapping={}))
    with pytest.raises(Refused) as refused:
        mapped(THERE, {})
    assert reason_name(refused.value.reason) == "ITEM_NOT_MAPPED"


def test_a_licence_cut_since_the_exchange_cuts_the_call() -> None:
    cut = ALL._replace(items=frozenset({"x-rating"}))
    assert why(WHOLE._replace(at_call=cut)) == "ITEM_NOT_ALLOWED"
    assert why(WHOLE._replace(at_call=ALL._replace(until=NOW))) == "DETAILS_NOT_IN_FORCE"


def test_a_token_without_details_opens_nothing() -> None:
    with pytest.raises(Refused) as refused:
        for_ask((), ALL.bound(WHOLE.mapping), frozenset({"penalty"}))
    assert reason_name(refused.value.reason) == "DETAILS_NOT_IN_FORCE"


def test_a_call_must_name_its_items() -> None:
    details = token_details(WHOLE)
    with pytest.raises(Refused) as refused:
        for_ask(details, ALL.bound(WHOLE.mapping), frozenset())
    assert reason_name(refused.value.reason) == "ITEM_NOT_ALLOWED"


@pytest.mark.parametrize(
    ("field", "value", "pointer"),
    [
        ("items", ["penalty", "unknown"], "/0/items"),
        ("purposes", ["BIDDING"], "/0/purposes"),
        ("regions", ["44"], "/0/regions"),
        ("period", {"from": 10, "until": 20}, "/0/period"),
        ("locations", ["urn:other"], "/0/locations/0"),
    ],
)
def test_details_that_go_beyond_the_licence_are_refused_by_a_pointer(
    field: str, value: object, pointer: str
) -> None:
    narrow = ALL._replace(purposes=frozenset({"CREDIT_APPROVAL"}), regions=frozenset({"11"}))
    asked = WHOLE._replace(at_exchange=narrow, details=[{"type": TYPE, field: value}])
    with pytest.raises(OAuth2Error, match=f"At {pointer}:"):
        token_details(asked)


def test_a_bound_with_an_empty_field_allows_nothing() -> None:
    whole = AuthorizationDetail(type=TYPE)
    full = Bound(frozenset({"tax"}), frozenset({"BIDDING"}), frozenset({"11"}), 0, 1)
    assert within(whole, full) is not None
    for emptied in (
        full._replace(items=frozenset()),
        full._replace(purposes=frozenset()),
        full._replace(regions=frozenset()),
        full._replace(until=0),
    ):
        assert within(whole, emptied) is None


def test_a_detail_within_a_bound_names_what_both_do_and_never_more() -> None:
    bound = Bound(frozenset({"tax", "rating"}), frozenset({"BIDDING"}), frozenset({"11"}), 2, 8)
    wide = AuthorizationDetail.model_validate(
        {
            "type": TYPE,
            "items": ["tax", "penalty"],
            "purposes": ["BIDDING", "CREDIT_APPROVAL"],
            "regions": ["*"],
            "period": {"from": 0, "until": 6},
        }
    )
    left = within(wide, bound)
    assert left is not None
    assert (left.items, left.purposes) == ({"tax"}, {"BIDDING"})
    assert (left.regions, left.period.start, left.period.until) == ({"11"}, 2, 6)
