"""Receipts of answers, kept in a receipt book by the commands that ask."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.cli import calls
from gateway.cli.usage_book import opened_book, verified
from gateway.clock import SystemClock

if TYPE_CHECKING:
    from creditgate.transparency.usage import Answer


def sending(book: Path | None, request_id: str, *, new: bool) -> None:
    """Note in ``book``, if one is given, that a request is about to be sent; ``new`` where its id
    was made for it. Raises CommandFailed."""
    if book is not None:
        with opened_book(book) as opened:
            opened.sending(request_id, SystemClock().now(), new=new)


@contextmanager
def keeping_refused(book: Path | None, request_id: str) -> Generator[None]:
    """Keep in ``book``, if one is given, the receipt that a refusal has of what the request was
    charged when it was answered first. Raises CommandFailed, and the refusal."""
    import grpc

    from creditgate.transparency.linked import UnknownKey
    from sdk.refusals import charged, explain

    try:
        yield
    except grpc.RpcError as error:
        receipt = charged(explain(error))
        if book is not None and receipt is not None:
            # By a key that the book does not know it is put aside until it is followed.
            with opened_book(book) as opened, verified(), suppress(UnknownKey):
                opened.keep_charged(receipt, request_id)
        raise


def keep_receipt(book: Path | None, profile: Path, request_id: str, *answer: "Answer") -> None:
    """Keep the receipt of the answer to a request in ``book``, if one is given; where it is signed
    by a key that the book does not know, the gateway is asked which follow. Raises
    CommandFailed."""
    if book is None:
        return
    from creditgate.transparency.linked import UnknownKey

    with opened_book(book) as opened, verified():
        try:
            opened.keep(*answer, request_id=request_id)
        except UnknownKey:
            kept = partial(receipt_kept, book=book, request_id=request_id, answer=answer)
            calls.with_gateway(profile, kept)


async def receipt_kept(
    gateway: calls.Gateway, book: Path | None, request_id: str, answer: "Sequence[Answer]"
) -> None:
    """Do so in the midst of calls to the gateway."""
    if book is None:
        return
    from sdk.usage import keeping

    with opened_book(book) as opened, verified():
        keep = partial(opened.keep, *answer, request_id=request_id)
        await keeping(gateway.channel, opened, keep)
