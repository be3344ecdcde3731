"""The book of catalogue items remembers what every version of an item has declared."""

from typing import cast

from gateway.catalogue.model import CATALOGUE_ITEM, CatalogueBook, CatalogueItem
from operators.log import Change
from tests.authorise.world import item
from tests.catalogue.drafts import national


def version(number: int, *names: str) -> Change:
    """Return a version of the item "tax" that declares these fields."""
    made = item("tax")
    field = made.content_fields[0]
    fields = tuple(field.model_copy(update={"name": name}) for name in names)
    document = made.model_copy(update={"content_fields": fields}).as_document()
    return Change(number, CATALOGUE_ITEM, "tax", number, document, "office", 0, "test")


def test_an_item_kept_before_fields_had_titles_goes_on() -> None:
    document = national()["payment.tax"].as_document()
    fields = cast(list[dict[str, object]], document["content_fields"])
    for field in fields:
        del field["title_zh"], field["title_en"]
    # As versions before titles write it, and read it.
    untitled = CatalogueItem.from_document(document, version=0, changed_at=0)
    assert untitled.as_document() == document
    change = Change(1, CATALOGUE_ITEM, "payment.tax", 1, document, "office", 0, "test")
    item = CatalogueBook.empty().advanced([change])["payment.tax"]
    assert {field.title_zh for field in item.content_fields} == {""}


def test_the_fields_ever_declared_are_those_of_all_versions_however_they_come() -> None:
    changes = [version(1, "a"), version(2, "b", "c"), version(3, "a")]
    at_once = CatalogueBook.empty().advanced(changes)
    one_by_one = CatalogueBook.empty()
    for change in changes:
        one_by_one = one_by_one.advanced([change])
    for book in (at_once, one_by_one):
        assert [field.name for field in book["tax"].content_fields] == ["a"]
        assert book.ever_declared("tax") == {"a", "b", "c"}
    assert at_once.ever_declared("none") == frozenset()
