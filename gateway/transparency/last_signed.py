"""What a log signed last, kept beside its key: a store that was lost or put back is found out.

The file says under which origin the key signs, the checkpoint that the store had committed,
and the one that was about to be. It is written before each commit, so that no signature is
shown that it does not know of; which of the two the store has tells whether it was committed.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final, NamedTuple, Self

from creditgate.transparency.note import Checkpoint
from gateway.pki.files import write_first, write_private

_SUFFIX: Final = ".signed"


class NeverSign(RuntimeError):
    """What was to be signed contradicts what was signed: the store was lost or put back."""


class Signed(NamedTuple):
    """A tree that was signed: its size and root; size 0 for none yet."""

    size: int
    root: bytes


NOTHING: Final = Signed(0, b"")
RootOf = Callable[[int], bytes | None]
"""Gives the root that a store's checkpoint of a size has, None where it has none."""


class LastSigned:
    """What a log's key signed last; of one file, whoever has the turn to write.

    ``former`` are the origins of keys before it that lead to it.
    """

    def __init__(
        self, file: Path, origin: str, shown: Signed, next_: Signed, former: Collection[str] = ()
    ) -> None:
        self._file = file
        self.origin = origin
        self._former = former
        self._shown = shown
        self._next = next_
        self._signing = False

    @staticmethod
    def beside(key: Path) -> Path:
        """Return the file that goes with a key."""
        return key.with_suffix(_SUFFIX)

    @classmethod
    def read(cls, key: Path) -> Self | None:
        """Return what the file beside ``key`` says, None where there is none. Raises OSError,
        and ValueError where it cannot be read as one."""
        file = cls.beside(key)
        try:
            text = file.read_bytes()
        except FileNotFoundError:
            return None
        try:
            kept = json.loads(text)
            shown, next_ = (
                Signed(int(each["size"]), b64decode(each["root"], validate=True))
                for each in (kept["shown"], kept["next"])
            )
            return cls(file, str(kept["origin"]), shown, next_)
        except (KeyError, TypeError, ValueError):
            raise ValueError(f"{file} is damaged; restore it from a copy.") from None

    @classmethod
    def begun(cls, key: Path, origin: str) -> Self:
        """Return what the file beside ``key`` says, which is made where there is none: of a log
        under ``origin`` that has signed nothing. Raises as `read`."""
        new = cls(cls.beside(key), origin, NOTHING, NOTHING)
        write_first(new._file, new._text())
        kept = cls.read(key)
        assert kept is not None
        return kept

    @classmethod
    def resumed(cls, key: Path, origin: str, newest: Signed) -> None:
        """Note beside ``key`` a log under ``origin`` that signed ``newest`` last. Raises OSError."""
        new = cls(cls.beside(key), origin, newest, newest)
        write_private(new._file, new._text())

    @classmethod
    def replaced(cls, key: Path, origin: str) -> None:
        """Note beside ``key`` a log under ``origin`` that has signed nothing. Raises OSError."""
        new = cls(cls.beside(key), origin, NOTHING, NOTHING)
        write_private(new._file, new._text())

    def of_present(self, origin: str, former: Collection[str]) -> "LastSigned":
        """Return the same as what the present key signed last, under ``origin``, after those of the
        origins ``former``: what one of them notes meanwhile is of the same log."""
        return LastSigned(self._file, origin, self._shown, self._next, former)

    @property
    def said(self) -> tuple[str, Signed, Signed]:
        """All that the file says: the origin, what was committed, what was about to be."""
        return self.origin, self._shown, self._next

    @property
    def unused(self) -> bool:
        """Whether nothing was ever signed."""
        return self._next == NOTHING

    def is_in(self, root_of: RootOf) -> bool:
        """Tell whether a store has what was signed.

        What was about to be signed may be missing: then it was never committed, nor shown.
        """
        shown = root_of(self._shown.size) if self._shown.size else self._shown.root
        return shown == self._shown.root and root_of(self._next.size) in (None, self._next.root)

    def about_to_sign(self, before: Signed, checkpoint: Checkpoint) -> None:
        """Note, durably, that ``checkpoint`` is signed, by a store whose newest is ``before``.

        Raises NeverSign where what was signed is not in the store, and OSError.
        """
        # Another process may have signed since.
        kept = type(self).read(self._file.with_suffix(".pem"))
        if kept is not None:
            if kept.origin != self.origin and kept.origin not in self._former:
                # The log was begun anew under another key: what is here is of that one.
                raise NeverSign(kept.origin)
            self._shown, self._next = kept._shown, kept._next
        if before.size < self._shown.size:
            raise NeverSign(self._shown.size)
        if before.size == self._shown.size and before != self._shown:
            raise NeverSign(self._shown.size)
        if before.size == self._next.size and before != self._next:
            raise NeverSign(self._next.size)
        self._shown, self._next = before, Signed(checkpoint.size, checkpoint.root)
        self._signing = True
        write_private(self._file, self._text())

    def committed(self) -> None:
        """Note that what was about to be signed was committed, and may have been shown."""
        if not self._signing:
            return
        self._signing = False
        kept = type(self).read(self._file.with_suffix(".pem"))
        # Unless another process has gone on since: it knows.
        if kept is not None and kept._next == self._next:
            self._shown = self._next
            write_private(self._file, self._text())

    def _text(self) -> bytes:
        return json.dumps(
            {"origin": self.origin}
            | {
                name: {"size": each.size, "root": b64encode(each.root).decode()}
                for name, each in (("shown", self._shown), ("next", self._next))
            }
        ).encode()
