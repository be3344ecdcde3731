"""Which changes of a catalogue item let more be disclosed or seen."""

from typing import Any

import pytest

from creditgate.v1.catalogue_service_pb2 import ContentFieldType
from creditgate.v1.vocabulary_pb2 import Openness, Severity, SubjectType
from gateway.catalogue.model import CatalogueItem, ContentField, PeriodRule
from gateway.catalogue.widening import widens_item

STRING = ContentFieldType.CONTENT_FIELD_TYPE_STRING
SERIOUS = Severity.SEVERITY_SERIOUS
GENERAL = Severity.SEVERITY_GENERAL
LAW = "a law"
FIELD = ContentField(name="facts", type=STRING, required=True, max_length=100)
RULE = PeriodRule(
    severity=SERIOUS, min_months=3, max_months=36, end_required=True, legal_source=LAW
)
UNBOUNDED = PeriodRule(severity=GENERAL, legal_source=LAW)
ITEM = CatalogueItem(
    code="penalty",
    name_zh="处罚",
    name_en="Penalties",
    sources=("甲局", "乙局"),
    subject_types=(SubjectType.SUBJECT_TYPE_ENTERPRISE,),
    openness=Openness.OPENNESS_CONSENT,
    period_rules=(RULE, UNBOUNDED),
    price_class="basic",
    content_fields=(FIELD,),
)


def changed(part: Any, **values: Any) -> Any:
    """Return ``part`` with other values."""
    return part.model_copy(update=values)


def with_rule(**values: Any) -> CatalogueItem:
    """Return the item with its bounded rule changed."""
    return changed(ITEM, period_rules=(changed(RULE, **values), UNBOUNDED))


WIDER = {
    "opener": changed(ITEM, openness=Openness.OPENNESS_PUBLIC),
    "source": changed(ITEM, sources=("甲局", "丙局")),
    "subjects": changed(
        ITEM,
        subject_types=(*ITEM.subject_types, SubjectType.SUBJECT_TYPE_PUBLIC_INSTITUTION),
    ),
    "field": changed(ITEM, content_fields=(FIELD, changed(FIELD, name="more"))),
    "length": changed(ITEM, content_fields=(changed(FIELD, max_length=101),)),
    "type": changed(
        ITEM,
        content_fields=(
            changed(FIELD, type=ContentFieldType.CONTENT_FIELD_TYPE_DATE, max_length=0),
        ),
    ),
    "title": changed(ITEM, content_fields=(changed(FIELD, title_zh="事实", title_en="facts"),)),
    "result": changed(ITEM, content_fields=(changed(FIELD, result=True),)),
    "longer": with_rule(max_months=37),
    "without end": with_rule(max_months=0),
    "end not required": with_rule(max_months=0, end_required=False),
    "grade": changed(
        ITEM,
        period_rules=(*ITEM.period_rules, changed(RULE, severity=Severity.SEVERITY_MINOR)),
    ),
    "price": changed(ITEM, price_class="advanced"),
    "longer at least": with_rule(min_months=4),
    "other law": with_rule(legal_source="another law"),
    "name": changed(ITEM, name_en="Sanctions"),
    "name in Chinese": changed(ITEM, name_zh="严重失信主体名单"),
}
NARROWER = {
    "same": ITEM,
    "less open": changed(ITEM, openness=Openness.OPENNESS_RESTRICTED),
    "one source": changed(ITEM, sources=("乙局",)),
    "shorter": with_rule(max_months=35),
    "sooner": with_rule(min_months=0),
    "bounded": changed(
        ITEM, period_rules=(RULE, changed(UNBOUNDED, max_months=36, end_required=True))
    ),
    "not graded so": changed(ITEM, period_rules=(RULE,)),
    "field shorter": changed(ITEM, content_fields=(changed(FIELD, max_length=99),)),
    "field optional": changed(ITEM, content_fields=(changed(FIELD, required=False),)),
}


@pytest.mark.parametrize("after", WIDER.values(), ids=WIDER.keys())
def test_what_lets_more_be_disclosed_or_seen_widens(after: CatalogueItem) -> None:
    assert widens_item(ITEM, after)


@pytest.mark.parametrize("after", NARROWER.values(), ids=NARROWER.keys())
def test_what_lets_no_more_be_disclosed_or_seen_does_not(after: CatalogueItem) -> None:
    assert not widens_item(ITEM, after)


def test_a_new_item_widens() -> None:
    assert widens_item(None, ITEM)
