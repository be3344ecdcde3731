"""Cosignatures of this installation's own checkpoints, as witnesses give them.

They stand beside the signed note and change nothing of it; whoever adds one has verified it.
"""

from collections.abc import Sequence

from sqlalchemy import Engine, select, update

from creditgate.transparency.note import signatures_in
from gateway.storage.bounded import bounded
from gateway.transparency.tables import CHECKPOINTS, AnyLogId

MOST_COSIGNATURES = 128
"""Most lines kept of one checkpoint: with all of them its note is within the 64 KiB of a note."""


def add_cosignatures(engine: Engine, log: AnyLogId, size: int, lines: Sequence[str]) -> bool:
    """Keep witnesses' lines of a checkpoint, each in place of what the same key gave before.

    Returns whether there is such a checkpoint. Raises ProofInvalid for what is no line.
    """
    own = (CHECKPOINTS.c.log == log, CHECKPOINTS.c.size == size)
    with bounded(engine) as connection:
        kept = connection.execute(
            select(CHECKPOINTS.c.cosignatures).where(*own).with_for_update()
        ).scalar()
        if kept is None:
            return False
        merged = _merged(kept, lines)
        if merged != kept:
            connection.execute(update(CHECKPOINTS).where(*own).values(cosignatures=merged))
    return True


def _merged(kept: str, lines: Sequence[str]) -> str:
    by_key = {
        (each.name, each.key_id): each.line
        for part in (kept, *lines)
        if part
        for each in signatures_in(part)
    }
    return "".join(list(by_key.values())[-MOST_COSIGNATURES:])
