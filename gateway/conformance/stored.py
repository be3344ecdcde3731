"""What the follower has written down, read back: by the block, and copies under consents."""

from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

from sqlalchemy import Connection, bindparam, select

from gateway.conformance.blocks import Block
from gateway.conformance.holdings_tables import (
    ENDED_BLOCKS,
    REVISION_BLOCKS,
    SERVED_BLOCKS,
)
from gateway.storage.paging import pages

_SOME: Final = bindparam("some", expanding=True)
_SERVED: Final = select(SERVED_BLOCKS.c.block, SERVED_BLOCKS.c.whole, SERVED_BLOCKS.c.cut).where(
    SERVED_BLOCKS.c.operator_id == bindparam("operator")
)
_ENDED: Final = select(ENDED_BLOCKS).where(ENDED_BLOCKS.c.block.in_(_SOME))


class ServedBits(NamedTuple):
    """Which revisions of a block an operator was served: whole, and cut under a consent."""

    whole: bytes
    cut: bytes


def served_bits(connection: Connection, operator_id: str) -> dict[int, ServedBits]:
    """Return what an operator was served, by block."""
    rows = connection.execute(_SERVED, {"operator": operator_id})
    return {number: ServedBits(bytes(whole), bytes(cut)) for number, whole, cut in rows}


def served_bits_of(
    connection: Connection, numbers: Collection[int], operator_id: str = ""
) -> Iterator[tuple[str, int, ServedBits]]:
    """Yield, for some blocks, what each operator was served, or one of them."""
    query = select(SERVED_BLOCKS)
    if operator_id:
        query = query.where(SERVED_BLOCKS.c.operator_id == operator_id)
    for some in pages(numbers):
        for row in connection.execute(query.where(SERVED_BLOCKS.c.block.in_(some))):
            yield row.operator_id, row.block, ServedBits(bytes(row.whole), bytes(row.cut))


def ended_bits(connection: Connection, numbers: Collection[int]) -> dict[int, bytes]:
    """Return which revisions of some blocks have ended."""
    return {
        row.block: bytes(row.ended)
        for some in pages(numbers)
        for row in connection.execute(_ENDED, {"some": some})
    }


def untils_of(connection: Connection, numbers: Collection[int]) -> Iterator[tuple[int, bytes]]:
    """Yield the ends of the periods of some blocks, packed as there."""
    query = select(REVISION_BLOCKS.c.block, REVISION_BLOCKS.c.untils)
    for some in pages(numbers):
        for number, untils in connection.execute(query.where(REVISION_BLOCKS.c.block.in_(some))):
            yield number, bytes(untils)


def blocks(connection: Connection, numbers: Collection[int]) -> Iterator[Block]:
    """Yield some blocks, as far as there are any, in order."""
    query = select(REVISION_BLOCKS).order_by(REVISION_BLOCKS.c.block)
    for some in pages(numbers):
        for row in connection.execute(query.where(REVISION_BLOCKS.c.block.in_(some))):
            yield Block.unpacked(row.block, bytes(row.untils), bytes(row.elements))
