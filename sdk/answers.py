"""Answers with a proof, kept as they came with the request they answer, and verified offline.

An answer is kept in files: FILE has its bytes, FILE.2, FILE.3 and so on those of further
parts of a batch's chunk, FILE.request those of the request. Nothing but these bytes, the
pinned key of the disclosure log and `creditgate.transparency` is needed to verify it.
"""

from pathlib import Path
from typing import Final, NamedTuple, Self

from google.protobuf.message import Message

from creditgate.transparency.linked import Pinned, signing
from creditgate.transparency.verify import VerifiedAnswer, answer_of, verify_answer

_REQUEST: Final = ".request"


class KeptAnswer(NamedTuple):
    """An answer in its bytes: ``parts`` are one message, or several of a chunk, in order;
    ``request`` is what was sent, None where it was not kept."""

    request: bytes | None
    parts: tuple[bytes, ...]

    @classmethod
    def of(cls, request: Message, *answers: Message) -> Self:
        """Keep ``answers`` to ``request``: proven ones have one form, which is that received."""
        return cls(_bytes(request), tuple(map(_bytes, answers)))

    @classmethod
    def read(cls, file: Path, request: Path | None = None) -> Self:
        """Read an answer written to ``file``, and its request: from ``request``, or from the
        file beside it if there is one. Raises OSError."""
        parts = [file.read_bytes()]
        while (further := _part(file, len(parts))).exists():
            parts.append(further.read_bytes())
        beside = Path(f"{file}{_REQUEST}")
        if request is None and beside.exists():
            request = beside
        return cls(None if request is None else request.read_bytes(), tuple(parts))

    def write(self, file: Path) -> None:
        """Write the answer to ``file`` and those beside it. Raises OSError."""
        for number, part in enumerate(self.parts):
            _part(file, number).write_bytes(part)
        # What an answer with more parts left there does not belong to this one.
        _part(file, len(self.parts)).unlink(missing_ok=True)
        if self.request is not None:
            Path(f"{file}{_REQUEST}").write_bytes(self.request)

    def verified(self, key: Pinned) -> VerifiedAnswer:
        """Return what it proves by the pinned ``key``, or by the one linked to it that signed then.
        Raises ProofInvalid."""
        note = answer_of(self.parts[-1]).proof.checkpoint
        return verify_answer(self.request, self.parts, signing(note, key))


def _bytes(message: Message) -> bytes:
    return message.SerializeToString(deterministic=True)


def _part(file: Path, number: int) -> Path:
    return Path(f"{file}.{number + 1}") if number else file
