"""A consent may be asked for exactly where one licence in force covers all of it."""

from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from consent.model import ConsentTerms
from creditgate.v1.operator_service_pb2 import OperatorState
from creditgate.v1.vocabulary_pb2 import Openness
from gateway.authority.view import AuthorityView
from gateway.catalogue.model import CATALOGUE_ITEM
from gateway.consents.rules import FIRST_LEVEL, obstacle, terms_faults
from gateway.consents.words import PROVINCES
from operators.log import Change
from operators.model import LICENCE, OPERATOR, Licence, Operator
from tests import consenting
from tests.clock import NOW
from tests.examples import examples
from tests.installation import company, item

ITEMS = ("tax", "pay", "open")
PURPOSES = (1, 2, 3)
ACTIVE = OperatorState.OPERATOR_STATE_ACTIVE
REGIONS = ("*", "11", "1101", "110101", "31")

licences = st.builds(
    dict,
    items=st.sets(st.sampled_from(ITEMS), min_size=1),
    purposes=st.sets(st.sampled_from(PURPOSES), min_size=1),
    regions=st.sets(st.sampled_from(REGIONS), min_size=1),
    valid_from=st.sampled_from([NOW - 100, NOW + 1]),
    valid_until=st.sampled_from([NOW + 100, NOW + 2]),
    revoked_at=st.sampled_from([None, None, NOW - 1]),
)


def _terms(items: set[str], purposes: set[int], regions: set[str]) -> ConsentTerms:
    return consenting.terms(sorted(items), purposes=frozenset(purposes), regions=frozenset(regions))


agreed = st.builds(
    _terms,
    st.sets(st.sampled_from(ITEMS), min_size=1),
    st.sets(st.sampled_from(PURPOSES), min_size=1),
    st.sets(st.sampled_from(REGIONS), min_size=1),
)


@cache
def _catalogue() -> tuple[Change, ...]:
    openness = {"tax": Openness.OPENNESS_CONSENT, "pay": Openness.OPENNESS_CONSENT}
    return tuple(
        _change(
            CATALOGUE_ITEM,
            code,
            item(code, openness.get(code, Openness.OPENNESS_PUBLIC)).as_document(),
        )
        for code in ITEMS
    )


def _change(kind: str, id_: str, document: dict[str, object]) -> Change:
    return Change(1, kind, id_, 1, document, "office", NOW, "test")


def _view(held: list[dict[str, object]]) -> AuthorityView:
    operator = Operator(operator_id="alpha", display_name="Alpha", uscc=company(1), state=ACTIVE)
    made = [
        Licence.model_validate(
            {**fields, "number": f"L-{number}", "operator_id": "alpha", "daily_record_quota": 1}
        )
        for number, fields in enumerate(held)
    ]
    return AuthorityView().advanced(
        [
            *_catalogue(),
            _change(OPERATOR, "alpha", operator.as_document()),
            *(_change(LICENCE, each.number, each.as_document()) for each in made),
        ]
    )


def _covers(licence: dict[str, object], terms: ConsentTerms) -> bool:
    items, purposes, regions = (licence[name] for name in ("items", "purposes", "regions"))
    assert isinstance(items, set)
    assert isinstance(purposes, set)
    assert isinstance(regions, set)
    return (
        licence["revoked_at"] is None
        and licence["valid_from"] == NOW - 100
        and items >= {each.item for each in terms.items}
        and purposes >= terms.purposes
        and all(
            any(held == "*" or asked.startswith(str(held)) for held in regions)
            for asked in terms.regions
        )
    )


def test_every_division_there_is_has_words_for_subjects() -> None:
    assert PROVINCES.keys() == FIRST_LEVEL


def test_no_division_is_asked_for_that_there_is_not() -> None:
    licence: dict[str, object] = {
        "items": {"tax"},
        "purposes": {1},
        "regions": {"*"},
        "valid_from": NOW - 100,
        "valid_until": NOW + 100,
    }
    view = _view([licence])
    for region in ("99", "9901", "660000", "10", "1000"):
        (fault,) = terms_faults(view, "alpha", _terms({"tax"}, {1}, {"11", region}), NOW)
        assert fault.field == "terms.regions"
    for region in ("*", "11", "8200", "650100", "100000"):
        assert terms_faults(view, "alpha", _terms({"tax"}, {1}, {region}), NOW) == []


def test_what_several_licences_cover_apart_is_to_be_asked_for_apart() -> None:
    usual: dict[str, object] = {
        "purposes": {1},
        "regions": {"*"},
        "valid_from": NOW - 100,
        "valid_until": NOW + 100,
    }
    view = _view([{**usual, "items": {"tax"}}, {**usual, "items": {"pay"}}])
    (fault,) = terms_faults(view, "alpha", _terms({"tax", "pay"}, {1}, {"11"}), NOW)
    assert "ask for what each covers by a consent of its own" in fault.description
    (missing,) = terms_faults(view, "alpha", _terms({"tax"}, {2}, {"11"}), NOW)
    assert missing.description == "name purposes that the licence allows"


@given(st.lists(licences, max_size=3), agreed)
@settings(max_examples=examples(150))
def test_one_licence_covers_all_that_is_asked_for(
    held: list[dict[str, object]], terms: ConsentTerms
) -> None:
    view = _view(held)
    closed = all(each.item != "open" for each in terms.items)
    may = closed and any(_covers(licence, terms) for licence in held)
    assert (terms_faults(view, "alpha", terms, NOW) == []) == may
    consent = consenting.requested(company(2), terms)
    hindrance = obstacle(view, consent, NOW)
    assert hindrance == (None if may else "licence" if closed else "items")
