"""Catalogue items as proto messages, and back."""

from collections.abc import Iterable
from typing import Final

from pydantic import ValidationError

from creditgate.refusal import Refused, Violation, invalid
from creditgate.v1 import catalogue_service_pb2 as pb
from gateway.catalogue.faults import Fault, faults_of, path_of
from gateway.catalogue.model import CatalogueItem
from gateway.catalogue.titles import title_faults

_MOST_VIOLATIONS: Final = 100


def item_message(item: CatalogueItem) -> pb.CatalogueItem:
    """Return ``item`` as a message; etag and update_time only where it was stored."""
    message = pb.CatalogueItem(
        code=item.code,
        name_zh=item.name_zh,
        name_en=item.name_en,
        sources=item.sources,
        subject_types=item.subject_types,
        openness=item.openness,
        period_rules=[
            pb.PeriodRule(
                severity=rule.severity,
                min_months=rule.min_months,
                max_months=rule.max_months,
                end_required=rule.end_required,
                legal_source=rule.legal_source,
            )
            for rule in item.period_rules
        ],
        price_class=item.price_class,
        content_fields=[
            pb.ContentField(
                name=field.name,
                type=field.type,
                required=field.required,
                max_length=field.max_length,
                result=field.result,
                title_zh=field.title_zh,
                title_en=field.title_en,
            )
            for field in item.content_fields
        ],
    )
    if item.version:
        message.etag = str(item.version)
        message.update_time.seconds = item.changed_at
    return message


def item_of(message: pb.CatalogueItem) -> CatalogueItem:
    """Return the item a message describes, not stored yet.

    Raises Refused INVALID_REQUEST with every fault, fields as in a request's ``item``.
    """
    try:
        item = CatalogueItem.model_validate(
            {
                "code": message.code,
                "name_zh": message.name_zh,
                "name_en": message.name_en,
                "sources": tuple(message.sources),
                "subject_types": tuple(message.subject_types),
                "openness": message.openness,
                "period_rules": tuple(map(_members, message.period_rules)),
                "price_class": message.price_class,
                "content_fields": tuple(map(_members, message.content_fields)),
            }
        )
        faults = title_faults(item)
    except ValidationError as error:
        raise _refused(faults_of(error)) from None
    if faults:
        raise _refused(faults)
    return item


def _refused(faults: Iterable[Fault]) -> Refused:
    violations = [Violation(path_of(("item", *fault.where)), fault.mend) for fault in faults]
    return invalid(*violations[:_MOST_VIOLATIONS])


def _members(message: pb.PeriodRule | pb.ContentField) -> dict[str, object]:
    return {field.name: getattr(message, field.name) for field in message.DESCRIPTOR.fields}
