"""Whether a file stays as it was while it is read: of one that does not, no row can be trusted."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

from sdk.loading.rows import SourceRefused

_Read = TypeVar("_Read")


class _State(NamedTuple):
    size: int
    written_ns: int


class SteadyFile:
    """A file as it is now, which is read from then on. Raises OSError.

    It has changed once it was written to, cut or touched, or another one is at its place. Where it
    was only moved away, or for a copy with the same time of writing, it is what it was.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("rb")
        self._was = self._state()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def while_steady(self, read: Iterator[_Read]) -> Iterator[_Read]:
        """Yield what is read of it, each only if the file has not changed by then.

        So nothing goes on that was read half before and half after. Raises SourceRefused, and what
        reading raises.
        """
        for each in read:
            self._require_steady()
            yield each
        self._require_steady()

    def _require_steady(self) -> None:
        now = {self._state()}
        with suppress(FileNotFoundError):
            now.add(_state_of(self._path.stat()))
        if now != {self._was}:
            raise SourceRefused(
                f"{self._path} changed while it was loaded, so that it is not all loaded; load it"
                " again when nobody writes it any more"
            )

    def _state(self) -> _State:
        return _state_of(os.fstat(self._file.fileno()))


def _state_of(stat: os.stat_result) -> _State:
    return _State(stat.st_size, stat.st_mtime_ns)
