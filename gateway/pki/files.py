"""Files that only their owner may read."""

import errno
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path


def write_private(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` with mode 0600, whole or not at all.

    The mode is set when the file is made, so there is no moment at which others can
    read it; an older file of the name is replaced. Missing folders are made with 0700.
    What root writes belongs to whom the folder belongs to, who is to read it.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # By a name that nobody can foretell: who owns the folder may have put a link to a file there
    # that root alone may write.
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if os.geteuid() == 0:
                folder = path.parent.stat()
                # Some file systems leave no choice.
                with suppress(PermissionError):
                    os.fchown(descriptor, folder.st_uid, folder.st_gid)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink()
        raise


def write_first(path: Path, content: bytes) -> bytes:
    """Write ``content`` to ``path`` as `write_private` does, unless something is there
    already; return what is there.

    Of processes that write at once one is first, and all return what it wrote.
    """
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    write_private(draft, content)
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_bytes()


def read_as_owner(path: Path) -> bytes:
    """Return what a file holds, as whom its folder belongs to reads it.

    Root may read any, and is not who will. Raises OSError.
    """
    if os.geteuid() == 0:
        file, owner = path.stat(), path.parent.stat()
        if file.st_uid == owner.st_uid:
            may = stat.S_IRUSR
        else:
            may = stat.S_IRGRP if file.st_gid == owner.st_gid else stat.S_IROTH
        if not file.st_mode & may:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    return path.read_bytes()
