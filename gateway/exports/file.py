"""Uses as files of CloudEvents: JSON Lines, in a folder of their own.

A file is only ever appended to, until it is large; then another is begun. What was read may be
removed by whoever reads it, but for the newest file.
"""

import logging
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gateway.exports.events import jsonl_of
from gateway.exports.follower import receiver_name
from gateway.exports.model import Use
from gateway.settle.month import utc_text

MOST_BYTES: Final = 64 << 20
"""A file of so many bytes is not appended to any more."""
_AT_ONCE: Final = 10_000
_NAMES: Final = "usage-*.jsonl"
_log = logging.getLogger(__name__)


class EventFiles:
    """`gateway.exports.follower.Receiver`: appends events to the newest file of ``folder``,
    which is made where it is missing.

    Where it cannot be used that is logged, once, and uses wait until it can.
    """

    from_now = False
    at_once = _AT_ONCE

    def __init__(self, folder: Path, issuer: str) -> None:
        self._folder = folder.absolute()
        self._issuer = issuer
        self.name = receiver_name("file", str(self._folder))
        self._fault: str | None = None

    def take(self, uses: Sequence[Use], now: int) -> None:
        """Append uses and have them on disk. Raises OSError."""
        with self._told():
            self._append(uses, now)

    @contextmanager
    def _told(self) -> Generator[None]:
        """Log a fault that is another than before: what cannot be written is tried often."""
        try:
            yield
        except OSError as error:
            if error.strerror != self._fault:
                self._fault = error.strerror
                _log.error(
                    "usage_export_folder: %s cannot be written to (%s); uses wait until it can",
                    self._folder,
                    error.strerror,
                )
            raise
        self._fault = None

    def _append(self, uses: Sequence[Use], now: int) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = self._newest()
        if file is None:
            file = self._another(now)
        with file.open("ab") as opened:
            opened.write(jsonl_of(uses, self._issuer))
            opened.flush()
            os.fsync(opened.fileno())

    def _newest(self) -> Path | None:
        """Return the file to append to, None where another is to be begun."""
        newest = max(self._folder.glob(_NAMES), default=None)
        if newest is None or newest.stat().st_size >= MOST_BYTES or not _is_whole(newest):
            return None
        return newest

    def _another(self, now: int) -> Path:
        instant = utc_text(now).replace("-", "").replace(":", "")
        known = sorted(each.name for each in self._folder.glob(_NAMES))
        number = 0
        # Never behind the newest, whatever the clock says.
        while (name := f"usage-{instant}-{number:06}.jsonl") <= max(known, default=""):
            instant = max(instant, known[-1].split("-")[1])
            number += 1
        file = self._folder / name
        file.touch(mode=0o600, exist_ok=False)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            # The name must last as the events do.
            os.fsync(folder)
        finally:
            os.close(folder)
        return file


def _is_whole(file: Path) -> bool:
    """Tell whether a file ends with a line: what a crash cut off is never written on."""
    with file.open("rb") as opened:
        if opened.seek(0, os.SEEK_END) == 0:
            return True
        opened.seek(-1, os.SEEK_END)
        return opened.read(1) == b"\n"
