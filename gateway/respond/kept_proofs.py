"""Proofs of subjects as they were made for one head of the map; each good for as long as it."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from creditgate.v1.disclosure_proof_pb2 import DisclosureProof
from gateway.transparency.map_sets import MapProofs, SubjectAsk

_MOST: Final = 16_384
_MOST_BYTES: Final = 8 << 20
_LONGEST: Final = 8_192

_Key = tuple[str, frozenset[str] | None, bool, tuple[int, ...]]


class KeptHead(NamedTuple):
    """A head of the map: the last event it reflects, and [map_time, holds_until) in seconds
    UTC; ``proof`` is what proofs of public items by its checkpoint share, serialised."""

    size: int
    event_sequence: int
    map_time: int
    holds_until: int
    proof: bytes

    def holds(self, head: int, at: int) -> bool:
        """Tell whether it reflects event ``head`` and the instant ``at``."""
        return self.event_sequence >= head and self.map_time <= at < self.holds_until


_NO_HEAD: Final = KeptHead(0, -1, 0, 0, b"")


class KeptProofs:
    """The newest head known, and the proofs made for it that were used of late (bounded)."""

    def __init__(self) -> None:
        self.head = _NO_HEAD
        self._young: dict[_Key, bytes] = {}
        self._old: Mapping[_Key, bytes] = {}
        self._bytes = 0

    def at(self, proofs: MapProofs) -> KeptHead:
        """Return the head that ``proofs`` are of; a newer one takes the place of that known."""
        if proofs.checkpoint.size > self.head.size:
            self._young, self._old, self._bytes = {}, {}, 0
            self.head = _kept(proofs)
        return self.head if proofs.checkpoint.size == self.head.size else _kept(proofs)

    def recall(self, ask: SubjectAsk, sequences: Sequence[int]) -> bytes | None:
        """Return the proof made for the newest head of what is served of ``ask`` by
        ``sequences``."""
        key = ask.subject, ask.public_items, ask.all_public, tuple(sequences)
        proof = self._young.get(key) or self._old.get(key)
        return None if ask.protected_items else proof

    def keep(self, ask: SubjectAsk, sequences: Sequence[int], proof: bytes) -> None:
        """Keep a proof made for the newest head.

        None of protected items: what it opens is the caller's own.
        """
        if ask.protected_items or len(proof) > _LONGEST:
            return
        if len(self._young) >= _MOST or self._bytes > _MOST_BYTES:
            self._young, self._old, self._bytes = {}, self._young, 0
        self._bytes += len(proof)
        key = ask.subject, ask.public_items, ask.all_public, tuple(sequences)
        self._young[key] = proof


def opened(proofs: MapProofs) -> KeptHead:
    """Return the head that ``proofs`` are of with its protected tree opened, for proofs of
    protected items: it is kept for nobody else."""
    return _kept(
        proofs._replace(
            head=proofs.protected_head,
            holds_until=min(proofs.holds_until, proofs.protected_holds_until),
        )
    )


def _kept(proofs: MapProofs) -> KeptHead:
    shared = DisclosureProof(checkpoint=proofs.checkpoint.note, map_head=proofs.head)
    return KeptHead(
        proofs.checkpoint.size,
        proofs.head_event_sequence,
        proofs.map_time,
        proofs.holds_until,
        shared.SerializeToString(deterministic=True),
    )
