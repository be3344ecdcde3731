"""Going on with logs whose keys are from a copy, where nothing was signed after it was made."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from sqlalchemy import Connection

from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import VerifierKey, open_checkpoint
from gateway.transparency.identity import known_key, newest_signed
from gateway.transparency.last_signed import LastSigned, Signed
from gateway.transparency.tables import LogId


class NotResumed(RuntimeError):
    """The logs can't be gone on with; the message says why, and what to do."""


def resume(connection: Connection, keys: Mapping[LogId, Path], notes: Iterable[str]) -> None:
    """Note beside each log's key in ``keys`` that the store has all it signed.

    Who says so shows the newest checkpoint of the disclosure log and of the log of decisions, as
    they stood after the gateway was stopped: the store must have just these, since one more would
    be of a gateway that had gone on. What was charged is in the log of decisions too. Raises
    NotResumed, and OSError.
    """
    known = {log: _known(connection, log, file) for log, file in keys.items()}
    shown = [*notes]
    for log in (LogId.DISCLOSURE, LogId.DECISIONS):
        _require_newest(log, known[log], newest_signed(connection, log), shown)
    for log, file in keys.items():
        LastSigned.resumed(file, known[log].name, newest_signed(connection, log))


def _known(connection: Connection, log: LogId, file: Path) -> VerifierKey:
    known = known_key(connection, log)
    if known is None or not file.exists():
        raise NotResumed(f"The store has no log of {log.path}, or {file} is missing.")
    if LastSigned.read(file) is not None:
        raise NotResumed(f"What {file} signed is known: start the gateway.")
    return known


def _require_newest(log: LogId, key: VerifierKey, newest: Signed, notes: Iterable[str]) -> None:
    for note in notes:
        try:
            checkpoint = open_checkpoint(note, key)
        except ProofInvalid:
            continue
        if (checkpoint.size, checkpoint.root) == newest:
            return
        if checkpoint.size > newest.size:
            raise NotResumed(
                f"The checkpoint given of the log of {log.path} is newer than the store:"
                f" {checkpoint.size - newest.size} entries were signed after the copy. Restore a"
                " newer copy, or begin the log anew by"
                f" `creditgate log begin --log {log.path}`."
            )
        raise NotResumed(
            f"The store's newest checkpoint of the log of {log.path} is of {newest.size} entries,"
            f" the one given of {checkpoint.size}: they must be the same. Restore a newer copy, or"
            f" begin the log anew by `creditgate log begin --log {log.path}`."
        )
    raise NotResumed(
        f"Give the newest checkpoint of the log of {log.path}, signed by its key: as `creditgate"
        f" log checkpoint --log {log.path}` printed it when the gateway had been stopped."
    )
