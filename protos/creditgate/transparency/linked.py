"""Keys of one log, one behind the other: each and the next signed a note of it. Pure.

Whoever knows one of them so verifies what the others sign or signed. A key that no note leads to is
none of them.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple, Self

from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import Checkpoint, VerifierKey, open_checkpoint, origin_of
from creditgate.transparency.receipts import usage_log_key
from creditgate.transparency.succession import (
    Succession,
    former_in,
    former_named,
    open_announcement,
    open_succession,
)

MOST_LINKS: Final = 64
"""Most keys of one log that are gone through."""


class UnknownKey(ProofInvalid):
    """It is signed by another key than those known: which may be one that they do not name yet."""


class LinkedKeys(NamedTuple):
    """Keys of one log: those that sign or signed, the oldest first, and the next that is
    announced, None for none."""

    chain: tuple[VerifierKey, ...]
    announced: VerifierKey | None = None

    @classmethod
    def of(cls, known: VerifierKey, notes: Sequence[str] = ()) -> Self:
        """Return a key that is known, those before it that it says it follows, and those that follow
        it; notes that lead to none of them are passed over."""
        return cls((known,)).preceded(notes).extended(notes)

    def preceded(self, notes: Sequence[str]) -> Self:
        """Return these keys and those before them that ``notes`` tell of, with what they signed."""
        chain = list(self.chain)
        for _ in range(MOST_LINKS):
            former = {key for note in notes if (key := _former(note, chain[0])) is not None}
            # A key that says it follows two is in other hands as well: neither is believed.
            if len(former) != 1 or _has(chain, before := former.pop()):
                break
            chain.insert(0, before)
        return self._replace(chain=tuple(chain))

    def extended(self, notes: Sequence[str]) -> Self:
        """Return these keys and those that ``notes`` lead on to; other notes are passed over."""
        chain, announced = list(self.chain), self.announced
        for _ in range(MOST_LINKS):
            following = {key for note in notes if (key := _next(note, chain[-1])) is not None}
            if len(following) != 1 or _has(chain, after := following.pop()):
                break
            chain.append(after)
            announced = None
        for note in notes:
            told = _announced(note, chain[-1])
            if told is not None and not _has(chain, told):
                announced = told
        return self._replace(chain=tuple(chain), announced=announced)

    @property
    def present(self) -> VerifierKey:
        """The one that signs, as far as is known."""
        return self.chain[-1]

    @property
    def live(self) -> "LinkedKeys":
        """The one that signs and the next, without those before."""
        return self._replace(chain=self.chain[-1:])

    @property
    def every(self) -> tuple[VerifierKey, ...]:
        """All of them, the oldest first."""
        return self.chain if self.announced is None else (*self.chain, self.announced)

    def place(self, name: str) -> int:
        """Return the place in `every` of the key with this name. Raises UnknownKey."""
        for place, key in enumerate(self.every):
            if key.name == name:
                return place
        raise UnknownKey("the checkpoint is of another log")

    def named_in(self, note: str) -> VerifierKey:
        """Return the key of the log that a checkpoint says it is of. Raises UnknownKey."""
        return self.every[self.place(origin_of(note))]

    def of_operator(self, operator_id: str) -> "LinkedKeys":
        """Return the keys of an operator's usage logs, given those of receipts. Raises ValueError
        for an id that no log has."""

        def own(key: VerifierKey) -> VerifierKey:
            return usage_log_key(key, operator_id)

        return LinkedKeys(
            tuple(map(own, self.chain)), None if self.announced is None else own(self.announced)
        )


Pinned = VerifierKey | LinkedKeys
"""One key that was pinned, or several that are linked."""


def linked(pinned: Pinned) -> LinkedKeys:
    """Return the keys there are."""
    return pinned if isinstance(pinned, LinkedKeys) else LinkedKeys((pinned,))


def key_of(pinned: Pinned, key_id: bytes, what: str) -> VerifierKey:
    """Return the key of an id; ``what`` is signed by it. Raises UnknownKey."""
    for key in linked(pinned).every:
        if key.key_id == key_id:
            return key
    raise UnknownKey(f"{what} is signed by another key")


def signing(note: str, pinned: Pinned) -> VerifierKey:
    """Return the key whose log a checkpoint says it is of; where that is none of them the present
    one, by which it then does not verify."""
    keys = linked(pinned)
    try:
        return keys.named_in(note)
    except UnknownKey:
        return keys.present


def open_linked(note: str, pinned: Pinned) -> Checkpoint:
    """Return the checkpoint in a note that one of the keys has signed, of the log of its name.

    Raises ProofInvalid, UnknownKey where it is of the log of none of them.
    """
    key = signing(note, pinned)
    try:
        return open_checkpoint(note, key)
    except ProofInvalid as why:
        if key.name == origin_of(note):
            raise
        raise UnknownKey(str(why)) from None


def is_linked(note: str, pinned: Pinned) -> bool:
    """Tell whether one of the keys has signed a checkpoint of its log: what rests on another one
    nobody can verify who knows these."""
    try:
        open_linked(note, pinned)
    except ProofInvalid:
        return False
    return True


def ended_before(known: VerifierKey, notes: Sequence[str]) -> tuple[Succession, ...]:
    """Return how the logs before that of a key ended that is known, by ``notes`` that both sides
    signed, the oldest first."""
    chain = LinkedKeys((known,)).preceded(notes).chain
    ended: list[Succession] = []
    for former, following in pairwise(chain):
        told = {note for note in notes if _former(note, following) == former}
        ended += [open_succession(note, former) for note in sorted(told)]
    return tuple(ended)


def _has(chain: Sequence[VerifierKey], key: VerifierKey) -> bool:
    return any(each.name == key.name for each in chain)


def _next(note: str, former: VerifierKey) -> VerifierKey | None:
    if former_named(note) != former:
        return None
    try:
        return open_succession(note, former).next_key
    except ProofInvalid:
        return None


def _former(note: str, following: VerifierKey) -> VerifierKey | None:
    try:
        return former_in(note, following)
    except ProofInvalid:
        return None


def _announced(note: str, former: VerifierKey) -> VerifierKey | None:
    if former_named(note) != former:
        return None
    try:
        return open_announcement(note, former)
    except ProofInvalid:
        return None
