"""What an item's content fields lack in titles: what subjects read before they consent. Pure.

Asked of what is loaded or changed alone: an item that was kept before fields had titles goes on as
it is, and its fields are shown by name.

Source: Personal Information Protection Law, article 17 (told in clear, plain language).
"""

from typing import Final

from creditgate.v1.vocabulary_pb2 import Openness
from gateway.catalogue.faults import Fault
from gateway.catalogue.model import CatalogueItem

_MISSING: Final = (
    "add title_zh and title_en: subjects read what the field is, in Chinese and English, before they"
    " consent to an item of openness CONSENT"
)
_TAKEN: Final = "use a title of its own: subjects could not tell it from another field of the item"


def title_faults(item: CatalogueItem) -> list[Fault]:
    """Return a fault for each content field that subjects would be shown by its name alone, or
    could not tell from another."""
    if item.openness != Openness.OPENNESS_CONSENT:
        return []
    fields = item.content_fields
    found = [
        Fault(("content_fields", index), _MISSING)
        for index, field in enumerate(fields)
        if not field.title_zh
    ]
    for name in ("title_zh", "title_en"):
        titles = [getattr(field, name) for field in fields]
        found += (
            Fault(("content_fields", index, name), _TAKEN)
            for index, title in enumerate(titles)
            if title and title in titles[:index]
        )
    return found
