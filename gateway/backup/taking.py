"""Taking a copy of an installation that may run meanwhile."""

import os
import shutil
import sqlite3
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Final

from joserfc.jwk import ECKey
from sqlalchemy import URL, create_engine

from gateway.backup import manifest as manifests
from gateway.backup import sealed
from gateway.backup.cut import cut
from gateway.backup.manifest import CopiedFile, CopiedLog, Manifest
from gateway.clock import Clock
from gateway.installation.home import Home
from gateway.pki.files import write_private
from gateway.transparency.identity import known_key, newest_signed
from gateway.transparency.tables import LogId

_EVIDENCE: Final = "evidence.db"


def take(
    home: Home, folder: Path, clock: Clock, *, stores: bool, recipient: ECKey | None
) -> Manifest:
    """Copy an installation into ``folder``, which must not exist, and return what was copied:
    its SQLite files where ``stores``, its private files where there is a ``recipient`` to
    encrypt them to.

    The folder is there once all is in it and on the disk. Raises FileExistsError,
    BackupUnusable, NoStores, StoreBusy, OSError, and sqlite3.Error.
    """
    if folder.exists():
        raise FileExistsError(folder)
    draft = folder.with_name(f".{folder.name}.{os.getpid()}")
    draft.mkdir(mode=0o700, parents=True)
    try:
        taken_at = _copy_stores(home, draft, clock) if stores else clock.now()
        # Behind the stores: of a key made meanwhile the copy has one too many, never one too few.
        if recipient is not None:
            write_private(draft / sealed.NAME, sealed.sealed_files(home, recipient))
        made = Manifest(
            taken_at=taken_at,
            version=version("creditgate"),
            files={file.name: CopiedFile.of(file) for file in sorted(draft.iterdir())},
            logs=_logs_in(draft / _EVIDENCE) if stores else {},
        )
        write_private(draft / manifests.NAME, made.model_dump_json(indent=2).encode() + b"\n")
        sync_folder(draft)
        draft.rename(folder)
        sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return made


def sync_file(file: Path) -> None:
    """Have what a file holds on the disk. Raises OSError."""
    with file.open("rb") as content:
        os.fsync(content.fileno())


def sync_folder(folder: Path) -> None:
    """Have what a folder lists on the disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy_stores(home: Home, draft: Path, clock: Clock) -> int:
    with cut(home.root) as files:
        taken_at = clock.now()
        for name, source in files.items():
            copy = draft / name
            copy.touch(mode=0o600)
            with closing(sqlite3.connect(copy)) as target:
                source.backup(target)
                # One file, without those beside it.
                target.execute("PRAGMA journal_mode=DELETE")
            sync_file(copy)
    return taken_at


def _logs_in(evidence: Path) -> dict[str, CopiedLog]:
    """Return where the logs stand in a copy of the store of evidence."""
    engine = create_engine(
        URL.create(
            "sqlite",
            database=evidence.absolute().as_uri(),
            query={"mode": "ro", "immutable": "1", "uri": "true"},
        )
    )
    try:
        with engine.connect() as connection:
            found = [
                (log.path, known_key(connection, log), newest_signed(connection, log))
                for log in LogId
            ]
    finally:
        engine.dispose()
    return {
        name: CopiedLog(origin=key.name, size=newest.size, root=newest.root.hex())
        for name, key, newest in found
        if key is not None
    }
