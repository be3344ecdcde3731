"""Receipts of answers, kept in a receipt book by the commands that ask."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.cli import calls
from gateway.cli.usage_book import opened_book, verified

if TYPE_CHECKING:
    from creditgate.transparency.usage import Answer


def keep_receipt(book: Path | None, profile: Path, *answer: "Answer") -> None:
    """Keep the receipt of an answer in ``book``, if one is given; where it is signed by a key that
    the book does not know, the gateway is asked which follow. Raises CommandFailed."""
    if book is None:
        return
    from creditgate.transparency.linked import UnknownKey

    with opened_book(book) as opened, verified():
        try:
            opened.keep(*answer)
        except UnknownKey:
            calls.with_gateway(profile, lambda gateway: receipt_kept(gateway, book, *answer))


async def receipt_kept(gateway: calls.Gateway, book: Path | None, *answer: "Answer") -> None:
    """Do so in the midst of calls to the gateway."""
    if book is None:
        return
    from sdk.usage import keeping

    with opened_book(book) as opened, verified():
        await keeping(gateway.channel, opened, partial(opened.keep, *answer))
