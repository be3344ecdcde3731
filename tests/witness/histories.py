"""Logs made up of leaves: each tree of them, signed, with the proofs between them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from creditgate.transparency.merkle import leaf_hash, root_of
from creditgate.transparency.note import Checkpoint, checkpoint_body, signed
from creditgate.transparency.tiles import TILE_LEVELS, TILE_WIDTH
from creditgate.transparency.tree import Subtrees
from gateway.federation.witness.witness import Shown
from gateway.transparency.keys import LogKey
from tests.transparency.keys import key_of


@dataclass
class History:
    """One history of a log; a second one of the same key is a split view."""

    leaves: Sequence[bytes]
    key: LogKey = field(default_factory=key_of)

    def __post_init__(self) -> None:
        self._hashes = [leaf_hash(leaf) for leaf in self.leaves]
        self._trees = Subtrees()

    @classmethod
    def of(cls, texts: Sequence[str], key: LogKey | None = None) -> "History":
        """Return the history of some texts."""
        return cls([text.encode() for text in texts], key or key_of())

    def checkpoint(self, size: int) -> Checkpoint:
        """Return the state of a size."""
        return Checkpoint(self.key.verifier.name, size, root_of(self._hashes[:size]))

    def note(self, size: int) -> str:
        """Return the signed checkpoint of a size."""
        return signed(checkpoint_body(self.checkpoint(size)), self.key)

    def proof(self, first: int, second: int) -> list[bytes]:
        """Return the consistency proof between two sizes."""
        return self._trees.consistency(first, second, self.tile) if first else []

    def shown(self, old: int, size: int) -> Shown:
        """Return a checkpoint as the log shows it to a witness that cosigned ``old`` last."""
        return Shown(self.note(size), old, self.proof(old, size))

    def tile(self, level: int, number: int) -> bytes:
        """Return a tile of the whole history."""
        width = 1 << (TILE_LEVELS * level)
        hashes = [
            root_of(self._hashes[start : start + width])
            for start in range(
                number * TILE_WIDTH * width,
                min((number + 1) * TILE_WIDTH, len(self.leaves) // width) * width,
                width,
            )
        ]
        return b"".join(hashes)


def forked(texts: Sequence[str], at: int, key: LogKey | None = None) -> tuple[History, History]:
    """Return two histories that part after ``at`` entries."""
    other = [*texts[:at], *(f"other {text}" for text in texts[at:])]
    return History.of(texts, key), History.of(other, key)
