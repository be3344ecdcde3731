"""Views and revenue lines for the gate's tests."""

from collections.abc import Mapping
from typing import Any, Final

from creditgate.rating.prices import PRICE_PLAN, PricePlan
from creditgate.v1.catalogue_service_pb2 import ContentFieldType
from creditgate.v1.vocabulary_pb2 import Openness, SubjectType
from gateway.authority.view import AuthorityView
from gateway.catalogue.model import CATALOGUE_ITEM, CatalogueItem
from gateway.disclose.model import Line
from operators.log import Change
from tests.operators.things import Thing, client, grant, licence, named, operator

PUBLIC: Final = Openness.OPENNESS_PUBLIC
CONSENT: Final = Openness.OPENNESS_CONSENT
RESTRICTED: Final = Openness.OPENNESS_RESTRICTED
Entry = Thing | CatalogueItem | PricePlan


def item(
    code: str, openness: int = PUBLIC, price_class: str = "basic", result: str = ""
) -> CatalogueItem:
    """Return a catalogue item with the fields "grade" and "note", one of them its result."""
    return CatalogueItem.model_validate(
        {
            "code": code,
            "name_zh": "虚构目录项",
            "name_en": "Invented item",
            "sources": ["Invented Bureau"],
            "subject_types": [SubjectType.SUBJECT_TYPE_ENTERPRISE],
            "openness": openness,
            "period_rules": [{"legal_source": "invented"}],
            "price_class": price_class,
            "content_fields": [
                {
                    "name": name,
                    "type": ContentFieldType.CONTENT_FIELD_TYPE_INTEGER,
                    "result": name == result,
                }
                for name in ("note", "grade")
            ],
        }
    )


def plan(plan_id: str = "P-1", effective_from: int = 0, **prices: int) -> PricePlan:
    """Return a price plan; prices in micro-yuan by class."""
    return PricePlan(
        plan_id=plan_id, effective_from=effective_from, prices=prices or {"basic": 1_000}
    )


def _named(entry: Entry) -> tuple[str, str]:
    match entry:
        case CatalogueItem():
            return CATALOGUE_ITEM, entry.code
        case PricePlan():
            return PRICE_PLAN, entry.plan_id
        case _:
            return named(entry)


def _document(entry: Entry) -> Mapping[str, object]:
    return entry.model_dump(mode="json") if isinstance(entry, PricePlan) else entry.as_document()


def after(view: AuthorityView, *entries: Entry) -> AuthorityView:
    """Return the view after the entries are written."""
    return view.advanced(
        [
            Change(view.sequence + number, *_named(entry), 1, _document(entry), "office", 5, "test")
            for number, entry in enumerate(entries, 1)
        ]
    )


def view_of(*entries: Entry) -> AuthorityView:
    """Return the view that the entries make."""
    return after(AuthorityView(), *entries)


def licensed(*items: CatalogueItem, **changed: Any) -> tuple[Entry, ...]:
    """Return what lets alpha's client take the items everywhere; ``changed`` is of the licence."""
    codes = {each.code for each in items}
    return (
        operator(),
        licence(**{"items": codes, **changed}),
        client(),
        grant(),
        plan(),
        *items,
    )


def lines_of(*lines: tuple[str, str]) -> dict[int, Line]:
    """Return revenue lines numbered from 1: pairs of item and region."""
    return {
        number: Line(code, "Invented Bureau", region)
        for number, (code, region) in enumerate(lines, 1)
    }
