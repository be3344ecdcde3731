"""What widens a catalogue item: a change after which more may or must be disclosed, more people
may be shown it, it is told under another name or law, or costs something else. Pure.

Source: Opinions on improving the social credit system (2025-03-31), article 6 (what may be
disclosed is what the catalogue says) and article 10.
"""

from collections.abc import Mapping
from typing import Final

from creditgate.v1.vocabulary_pb2 import Openness
from gateway.catalogue.model import CatalogueItem, ContentField, PeriodRule

# The fewer may see it, the greater.
_CLOSED: Final[Mapping[Openness.ValueType, int]] = {
    Openness.OPENNESS_PUBLIC: 0,
    Openness.OPENNESS_CONSENT: 1,
    Openness.OPENNESS_RESTRICTED: 2,
}

# More than a rule may name; 0 there is no bound at all.
_UNBOUNDED: Final = 1 << 31


def widens_item(before: CatalogueItem | None, after: CatalogueItem) -> bool:
    """Tell whether ``after`` lets more be disclosed or seen than ``before``, which is None for an
    item that is new, or changes what it costs, or what signed reports and pages call it."""
    if before is None:
        return True
    return (
        _CLOSED[after.openness] < _CLOSED[before.openness]
        or (after.name_zh, after.name_en) != (before.name_zh, before.name_en)
        or after.price_class != before.price_class
        or not set(after.sources) <= set(before.sources)
        or not set(after.subject_types) <= set(before.subject_types)
        or _more_content(before, after)
        or _longer(before, after)
    )


def _more_content(before: CatalogueItem, after: CatalogueItem) -> bool:
    known = {each.name: each for each in before.content_fields}
    return any(
        (former := known.get(each.name)) is None or _wider_field(former, each)
        for each in after.content_fields
    )


def _wider_field(before: ContentField, after: ContentField) -> bool:
    return (
        after.type != before.type
        or after.max_length > before.max_length
        or (after.result and not before.result)
        or (after.title_zh, after.title_en) != (before.title_zh, before.title_en)
    )


def _longer(before: CatalogueItem, after: CatalogueItem) -> bool:
    known = {rule.severity: rule for rule in before.period_rules}
    return any(
        (former := known.get(rule.severity)) is None or _longer_rule(former, rule)
        for rule in after.period_rules
    )


def _longer_rule(before: PeriodRule, after: PeriodRule) -> bool:
    return (
        _most_months(after) > _most_months(before)
        or after.min_months > before.min_months
        or (before.end_required and not after.end_required)
        or after.legal_source != before.legal_source
    )


def _most_months(rule: PeriodRule) -> int:
    return rule.max_months or _UNBOUNDED
