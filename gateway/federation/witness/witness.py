"""The witness: cosigns what extends all it saw of a log, and remembers it before it says so.

Of each log one process at a time compares what is shown with what was cosigned last, and
writes down the new: in one transaction, with the cosignature, which leaves only once that is
committed and the act is noted beside the key (C2SP tlog-witness: "The witness MUST persist
the new checkpoint before responding", atomically with the check of the old size).

A region has one log at a time. Where it shows that of another key, what was before is cosigned no
more, and has to have ended as it was cosigned; so no witness stands behind two histories.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    Table,
    and_,
    delete,
    func,
    select,
    update,
)

from creditgate.transparency.cosignatures import cosignature_line
from creditgate.transparency.merkle import EMPTY_ROOT
from creditgate.transparency.note import (
    Checkpoint,
    VerifierKey,
    open_checkpoint,
    taken_apart,
)
from gateway.federation.witness.ends import end_those_before, require_not_ended
from gateway.federation.witness.keys import WitnessKey
from gateway.federation.witness.logs import RegionLog
from gateway.federation.witness.rules import FRESH_SECONDS, Judgement, judged
from gateway.federation.witness.tables import WITNESSED, WITNESSED_LOGS
from gateway.storage.bounded import LONG_SECONDS, bounded
from gateway.storage.engines import reading
from gateway.storage.inserts import INSERT
from sdk.histories import SplitView

MOST_KEPT: Final = 512
"""Checkpoints kept of each log, the newest: what others saw is looked up among them."""

_PRUNE_EVERY: Final = 64


class Shown(NamedTuple):
    """A checkpoint as a log shows it: the signed note, the size cosigned last as the log knows
    it, and the consistency proof from there."""

    note: str
    old_size: int
    proof: Sequence[bytes]


class Answered(NamedTuple):
    """What the witness did with a checkpoint.

    ``size`` is what it cosigned last of the log; ``cosignature`` the line, "" unless it
    cosigned. With CONTRADICTS, ``split`` is the evidence and ``held`` the note it contradicts.
    """

    judgement: Judgement
    origin: str
    size: int
    cosignature: str = ""
    split: SplitView | None = None
    held: str = ""


class WitnessedLog(NamedTuple):
    """What was cosigned last of a log: the log's note and this witness's line behind it.

    ``log_key`` is the log's C2SP key, ``region`` who showed it last.
    """

    origin: str
    region: str
    log_key: str
    size: int
    note: str
    cosignature: str
    cosigned_at: int

    @property
    def cosigned(self) -> str:
        """The note with the cosignature."""
        return self.note + self.cosignature


class Witness:
    """Cosigns for this region, on one store of evidence. Calls block; any thread."""

    def __init__(self, evidence: Engine, key: WitnessKey) -> None:
        self._evidence = evidence
        self.key = key

    def require_memory(self) -> None:
        """Check that the store has all that was cosigned. Raises WitnessForgot."""
        with reading(self._evidence) as connection:
            self.key.require_known(_act(connection))

    def show(self, of: RegionLog, shown: Shown, now: int) -> Answered:
        """Judge a checkpoint of a region's log and cosign it where that may be.

        Of one key and origin one history alone is cosigned, whoever shows it. Raises
        ProofInvalid for a note that the log has not signed and a proof that does not prove,
        ShownInvalid, for a log that ended too, WitnessForgot, and what the store raises: then nothing
        is cosigned.
        """
        region, log = of.region.entity_id, of.key
        checkpoint = open_checkpoint(shown.note, log)
        with bounded(self._evidence, LONG_SECONDS) as connection:
            last = _locked(connection, region, log)
            require_not_ended(connection, region, log)
            act = _act(connection)
            self.key.require_known(act)
            known = _checkpoint_of(last)
            verdict = judged(known, checkpoint, shown.old_size, shown.proof)
            size = 0 if known is None else known.size
            if verdict.judgement is not Judgement.COSIGN:
                split = verdict.split and SplitView(
                    last.note, shown.note, verdict.split.root, verdict.split.proof
                )
                return Answered(
                    verdict.judgement, log.name, size, split=split, held=last.note if split else ""
                )
            if known == checkpoint and now < last.cosigned_at + FRESH_SECONDS:
                line = last.cosignature
            else:
                end_those_before(connection, of)
                act += 1
                line = cosignature_line(taken_apart(shown.note)[0], self.key, now)
                self._keep(connection, region, checkpoint, log, shown.note, line, now, act)
        # Committed, and noted: only now may it be shown.
        self.key.committed(act)
        return Answered(Judgement.COSIGN, log.name, checkpoint.size, line)

    def witnessed(self) -> list[WitnessedLog]:
        """Return what was cosigned last of each log, in order of origin and key."""
        with reading(self._evidence) as connection:
            rows = connection.execute(
                select(WITNESSED_LOGS)
                .where(WITNESSED_LOGS.c.act > 0)
                .order_by(WITNESSED_LOGS.c.origin, WITNESSED_LOGS.c.log_key)
            )
            return [_log(row) for row in rows]

    def last_of(self, log: VerifierKey) -> WitnessedLog | None:
        """Return what was cosigned last of a log, None where nothing was."""
        query = select(WITNESSED_LOGS).where(_is(WITNESSED_LOGS, log), WITNESSED_LOGS.c.act > 0)
        with reading(self._evidence) as connection:
            row = connection.execute(query).first()
        return None if row is None else _log(row)

    def held(self, log: VerifierKey, size: int) -> str:
        """Return the note cosigned of a log at a size, "" where none is kept."""
        query = select(WITNESSED.c.note).where(_is(WITNESSED, log), WITNESSED.c.size == size)
        with reading(self._evidence) as connection:
            return connection.execute(query).scalar() or ""

    def _keep(
        self,
        connection: Connection,
        region: str,
        checkpoint: Checkpoint,
        log: VerifierKey,
        shown: str,
        line: str,
        now: int,
        act: int,
    ) -> None:
        # The log's own signature alone: what else stood behind it was not looked at.
        note = _own_lines(shown, log)
        connection.execute(
            update(WITNESSED_LOGS)
            .where(_is(WITNESSED_LOGS, log))
            .values(
                region=region,
                size=checkpoint.size,
                root=checkpoint.root,
                note=note,
                cosignature=line,
                cosigned_at=now,
                act=act,
            )
        )
        add = INSERT[connection.dialect.name](WITNESSED).on_conflict_do_nothing()
        connection.execute(
            add.values(
                origin=log.name,
                log_key=str(log),
                size=checkpoint.size,
                root=checkpoint.root,
                note=note,
            )
        )
        if act % _PRUNE_EVERY == 0:
            _prune(connection, log)


def _locked(connection: Connection, region: str, log: VerifierKey) -> Row[*tuple[Any, ...]]:
    """Return a log's row, which no other process judges by until the commit; a new one has
    act 0."""
    add = INSERT[connection.dialect.name](WITNESSED_LOGS).on_conflict_do_nothing()
    connection.execute(
        add.values(
            origin=log.name,
            region=region,
            log_key=str(log),
            size=0,
            root=EMPTY_ROOT,
            note="",
            cosignature="",
            cosigned_at=0,
            act=0,
        )
    )
    return connection.execute(
        select(WITNESSED_LOGS).where(_is(WITNESSED_LOGS, log)).with_for_update()
    ).one()


def _is(table: Table, log: VerifierKey) -> ColumnElement[bool]:
    return and_(table.c.origin == log.name, table.c.log_key == str(log))


def _checkpoint_of(row: Row[*tuple[Any, ...]]) -> Checkpoint | None:
    return Checkpoint(row.origin, row.size, bytes(row.root)) if row.act else None


def _act(connection: Connection) -> int:
    return connection.execute(select(func.max(WITNESSED_LOGS.c.act))).scalar() or 0


def _own_lines(note: str, log: VerifierKey) -> str:
    text, signatures = taken_apart(note)
    own = [each.line for each in signatures if (each.name, each.key_id) == (log.name, log.key_id)]
    return f"{text}\n{''.join(own)}"


def _prune(connection: Connection, log: VerifierKey) -> None:
    oldest = (
        select(WITNESSED.c.size)
        .where(_is(WITNESSED, log))
        .order_by(WITNESSED.c.size.desc())
        .offset(MOST_KEPT)
        .limit(1)
    )
    size = connection.execute(oldest).scalar()
    if size is not None:
        connection.execute(delete(WITNESSED).where(_is(WITNESSED, log), WITNESSED.c.size <= size))


def _log(row: Row[*tuple[Any, ...]]) -> WitnessedLog:
    return WitnessedLog(
        row.origin, row.region, row.log_key, row.size, row.note, row.cosignature, row.cosigned_at
    )
