"""This region's catalogue as other regions read it, to map its items to their own."""

import hashlib
from typing import Any

from google.protobuf.json_format import MessageToDict

from gateway.catalogue.message import item_message
from gateway.catalogue.model import CatalogueBook


def catalogue_version(book: CatalogueBook) -> str:
    """Return what tells one state of the catalogue from others: 32 hex digits."""
    items = sorted((item.code, item.version) for item in book.values())
    return hashlib.sha256(repr(items).encode()).hexdigest()[:32]


def catalogue_document(book: CatalogueBook) -> dict[str, Any]:
    """Return the catalogue as JSON: its version, and every item as the contract has it."""
    return {
        "version": catalogue_version(book),
        "items": [MessageToDict(item_message(book[code])) for code in sorted(book)],
    }
