"""Restoring a copy into an installation that has nothing of it, and stopping it there.

What was withdrawn after the copy was made is in force again in what is restored: suspensions,
revoked consents, corrections. So an emergency brake is put on everything, and whoever knows what
happened since lets go of it. SQLite files are in place once that is in them, and not before.
"""

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from joserfc.jwk import ECKey

from gateway.authority.restoration import INSTALLATION, RESTORATION, Restoration, restored_at
from gateway.backup import sealed
from gateway.backup.manifest import BackupUnusable, Manifest
from gateway.backup.taking import sync_file, sync_folder
from gateway.clock import Clock
from gateway.installation.home import Home
from gateway.pki.files import write_private
from gateway.storage.engines import Engines, open_engines, sqlite_files
from gateway.storage.migrate import upgrade_all
from operators.authority import Authority
from operators.brakes import BRAKE, Brake
from operators.log import Draft
from operators.sql import SqlAuthorityLog

_BY: Final = "installation"
_DRAFTS: Final = ".restored"


class NotEmpty(ValueError):
    """There is something where a copy is to be restored, which is never overwritten."""


def restore(home: Home, folder: Path, clock: Clock, *, stores: bool, key: ECKey | None) -> Manifest:
    """Put the copy in ``folder`` into ``home``: its SQLite files where ``stores``, stopped, its
    private files where there is the ``key`` they are encrypted to; return what the copy says of
    itself.

    Raises NotEmpty, BackupUnusable, OSError, sqlite3.Error, and what the stores raise.
    """
    copy = Manifest.read(folder)
    files = sqlite_files(home.root) if stores else {}
    missing = sorted(files.keys() - copy.files.keys())
    if missing:
        raise BackupUnusable(f"{folder} has no {missing[0]}: it is of another kind of store.")
    private = {} if key is None else sealed.opened_files(_sealed_in(copy, folder), key)
    _require_empty(
        [
            *(
                beside
                for file in files.values()
                for beside in file.parent.glob(f"{file.name}*")
                if beside.stat().st_size
            ),
            *(home.root / path for path in private if (home.root / path).exists()),
        ]
    )
    home.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    drafts = home.root / _DRAFTS
    shutil.rmtree(drafts, ignore_errors=True)
    try:
        if files:
            _draw_up(drafts, folder, copy, clock)
        for path, content in private.items():
            write_private(home.root / path, content)
        # That of the brake comes first: whatever ends this, nothing is served without.
        for name, file in sorted(files.items()):
            (drafts / name).replace(file)
    finally:
        shutil.rmtree(drafts, ignore_errors=True)
    sync_folder(home.root)
    return copy


def _draw_up(drafts: Path, folder: Path, copy: Manifest, clock: Clock) -> None:
    """Make the SQLite files of a copy in ``drafts``, stopped and on the disk."""
    drafts.mkdir(mode=0o700)
    files = sqlite_files(drafts)
    for name, file in files.items():
        file.touch(mode=0o600)
        shutil.copyfile(folder / name, file)
        _require_sound(file)
    engines = open_engines("sqlite", drafts)
    try:
        stop_restored(engines, copy, clock)
    finally:
        engines.dispose()
    for file in files.values():
        with closing(sqlite3.connect(file)) as connection:
            # One file, without those beside it.
            connection.execute("PRAGMA journal_mode=DELETE")
        sync_file(file)


def stop_restored(engines: Engines, copy: Manifest, clock: Clock) -> None:
    """Write down that the stores were restored, so that what they tell others is numbered above
    what was told before, and engage an emergency brake on all answers, unless it is there.

    Brings the schema up to date first. Raises what the stores raise.
    """
    upgrade_all(engines)
    log = SqlAuthorityLog(engines.authority)
    changes, now = log.since(0), clock.now()
    before = [change for change in changes if change.kind == RESTORATION]
    # Two within a second, or by a clock that was set back, are two.
    restored = Restoration(restored_at=max(now, restored_at(0, before) + 1))
    drafts = [Draft(RESTORATION, INSTALLATION, len(before), restored.as_document())]
    why = f"restored from the copy of {datetime.fromtimestamp(copy.taken_at, UTC).isoformat()}"
    brakes = Authority.empty().advanced(changes).brakes
    if not any(each.reach == "EVERYTHING" and each.engaged_by == _BY for each in brakes.engaged()):
        drafts.append(_brake(why, now))
    log.append(drafts, changed_by=_BY, changed_at=now, reason=why)


def _brake(reason: str, now: int) -> Draft:
    brake = Brake(
        brake_id=f"restored-{now}",
        reach="EVERYTHING",
        engaged_by=_BY,
        engaged_at=now,
        reason=reason,
    )
    return Draft(BRAKE, brake.brake_id, 0, brake.as_document())


def _sealed_in(copy: Manifest, folder: Path) -> Path:
    if sealed.NAME not in copy.files:
        raise BackupUnusable(f"{folder} holds no private files: it was made without --keys-for.")
    return folder / sealed.NAME


def _require_empty(there: list[Path]) -> None:
    if there:
        raise NotEmpty(
            f"{there[0]} is there: move it away first, nothing is overwritten. Keep keys/*.signed:"
            " they say what was signed since."
        )


def _require_sound(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        found = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != ("ok",):
        raise BackupUnusable(f"{file.name} of the copy is damaged: use another copy.")
