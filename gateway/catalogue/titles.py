"""What an item's content fields lack in titles: what subjects read before they consent. Pure.

Asked of what is loaded or changed alone: an item that was kept before fields had titles goes on as
it is, and its fields are shown by name.

Source: Personal Information Protection Law, article 17 (told in clear, plain language).
"""

import unicodedata
from collections.abc import Set
from typing import Final

from creditgate import plain_text
from creditgate.v1.vocabulary_pb2 import Openness
from gateway.catalogue.faults import Fault
from gateway.catalogue.model import CatalogueItem

_MISSING: Final = (
    "add title_zh and title_en: subjects read what the field is, in Chinese and English, before they"
    " consent to an item of openness CONSENT"
)
_TAKEN: Final = "use a title of its own: subjects could not tell it from another field of the item"
_UNSEEN: Final = "use no characters that are not seen"


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
        read: set[str] = set()
        for index, field in enumerate(fields):
            title = getattr(field, name)
            if title and (mend := _mend(title, read)) is not None:
                found.append(Fault(("content_fields", index, name), mend))
            read.add(_as_read(title))
    return found


def _mend(title: str, others: Set[str]) -> str | None:
    """Return how to mend a title beside ``others`` as they are read; None where it is right."""
    if (mend := plain_text.fault(title)) is not None:
        return mend
    if plain_text.is_hidden_in(title):
        return _UNSEEN
    return _TAKEN if _as_read(title) in others else None


def _as_read(title: str) -> str:
    """Return what tells a title from others for who reads: its letters, digits and ideographs, however
    wide or large. Letters of two scripts that look alike are still two."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", title).casefold()))
