"""What binds all usage logs together: a chain over their heads, so that a store that was put back
is found out.

Their key signs for as many logs as there are operators, and what it signed last could not be noted
of each of them every time. Each step's new heads make one link, and it is the newest link that
`gateway.transparency.last_signed` keeps beside the key. The store has the last two, as checkpoints
of the log of usage, which has no entries of its own; nobody is shown them.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from creditgate.transparency.note import Checkpoint
from gateway.transparency.identity import newest_signed
from gateway.transparency.keys import LogKey
from gateway.transparency.log import SignedCheckpoint
from gateway.transparency.tables import CHECKPOINTS, LOGS, LogId, OperatorLogId

_ALL_ENTRIES: Final = select(func.sum(LOGS.c.size)).where(LOGS.c.log >= OperatorLogId.FIRST)
_FORGET: Final = delete(CHECKPOINTS).where(
    CHECKPOINTS.c.log == LogId.USAGE, CHECKPOINTS.c.size < bindparam("older_than")
)
_ADD: Final = insert(CHECKPOINTS)


def link(
    connection: Connection, key: LogKey, heads: Sequence[tuple[int, SignedCheckpoint]], at: int
) -> None:
    """Add a link for ``heads``, new ones by the number of their log, and note it beside ``key``.

    A part of the transaction that signs them; its caller tells the key's `LastSigned` once it is
    committed. Raises NeverSign where the key signed what the store has not, and OSError.
    """
    if key.last is None:
        return
    before = newest_signed(connection, LogId.USAGE)
    digest = hashlib.sha256(before.root)
    for number, head in heads:
        digest.update(b"%d %d " % (number, head.size) + head.root)
    size = connection.execute(_ALL_ENTRIES).scalar_one()
    made = Checkpoint(key.verifier.name, int(size), digest.digest())
    key.last.about_to_sign(before, made)
    connection.execute(_FORGET, {"older_than": before.size})
    row = {"log": LogId.USAGE, "size": made.size, "root": made.root, "at": at, "note": ""}
    connection.execute(_ADD, row)
