"""Merkle trees of logs: hashes, roots, and the checks of proofs. Pure.

Source: RFC 6962 section 2.1; the checks as RFC 9162 sections 2.1.3.2 and 2.1.4.2 write them.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from hmac import compare_digest
from typing import Final

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()
"""Root of the tree without leaves."""


class ProofInvalid(ValueError):
    """A proof does not prove what it should; the message tells what does not hold."""


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf, given its data."""
    return sha256(b"\x00" + data).digest()


def leaf_hashes(leaves: Iterable[bytes]) -> list[bytes]:
    """Return the hashes of leaves, given the data of each."""
    return [sha256(b"\x00" + data).digest() for data in leaves]


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node, given those of its children."""
    return sha256(b"\x01" + left + right).digest()


def root_of(leaf_hashes: Sequence[bytes]) -> bytes:
    """Return the root of the tree of these leaves."""
    return levels_of(leaf_hashes)[-1][0] if leaf_hashes else EMPTY_ROOT


def levels_of(leaf_hashes: Sequence[bytes]) -> list[Sequence[bytes]]:
    """Return the levels of the tree of these leaves, the last with its root alone.

    There is one leaf at least. An odd last node goes up as it is: the same tree as that of
    the RFC's recursion.
    """
    levels = [leaf_hashes]
    while len(below := levels[-1]) > 1:
        # Hashed here: to call for each node costs a third of what it takes.
        above = [
            sha256(b"\x01" + left + right).digest()
            for left, right in zip(below[::2], below[1::2], strict=False)
        ]
        if len(below) % 2:
            above.append(below[-1])
        levels.append(above)
    return levels


class GrowingRoot:
    """The root of leaves that come one by one: what is kept is one hash a level."""

    def __init__(self) -> None:
        self._left: list[tuple[int, bytes]] = []

    def add(self, leaf: bytes) -> None:
        """Add the hash of the next leaf."""
        level = 0
        while self._left and self._left[-1][0] == level:
            leaf = node_hash(self._left.pop()[1], leaf)
            level += 1
        self._left.append((level, leaf))

    def root(self) -> bytes:
        """Return the root of all that came so far, as `root_of`."""
        if not self._left:
            return EMPTY_ROOT
        *others, (_, root) = self._left
        for _, left in reversed(others):
            root = node_hash(left, root)
        return root


def audit_path(levels: Sequence[Sequence[bytes]], index: int) -> list[bytes]:
    """Return the audit path of a leaf, given the levels of its tree; leaf to root."""
    path: list[bytes] = []
    for level in levels[:-1]:
        if (sibling := index ^ 1) < len(level):
            path.append(level[sibling])
        index >>= 1
    return path


def inclusion_root(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes:
    """Return the root of the tree of ``size`` leaves in which ``path`` is the audit path of
    the leaf at ``index``, of hash ``leaf``.

    Raises ProofInvalid where no path of this length can be of that place. Source: RFC 9162
    section 2.1.3.2.
    """
    if not 0 <= index < size:
        raise ProofInvalid("the leaf's place is outside the tree")
    _require_hashes(leaf, *path)
    node, last, root = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise ProofInvalid("the audit path is too long")
        if node & 1 or node == last:
            root = node_hash(sibling, root)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            root = node_hash(root, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise ProofInvalid("the audit path is too short")
    return root


def verify_inclusion(
    index: int, size: int, leaf: bytes, path: Sequence[bytes], root: bytes
) -> None:
    """Check that the leaf of hash ``leaf`` is at ``index`` of the tree. Raises ProofInvalid."""
    if not compare_digest(inclusion_root(index, size, leaf, path), root):
        raise ProofInvalid("the audit path does not lead to the root")


def verify_consistency(
    first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the tree of ``second`` leaves begins with the tree of ``first`` leaves.

    ``first`` is 1 at least: every tree begins with the empty one, which proves nothing.
    Raises ProofInvalid. Source: RFC 9162 section 2.1.4.2.
    """
    if not 0 < first <= second:
        raise ProofInvalid("the trees' sizes are not in order")
    _require_hashes(first_root, second_root, *proof)
    if first == second:
        if proof:
            raise ProofInvalid("trees of one size need no proof")
        if not compare_digest(first_root, second_root):
            raise ProofInvalid("two trees of one size have different roots")
        return
    nodes = list(proof)
    if first & (first - 1) == 0:
        # A perfect tree is itself the first node.
        nodes.insert(0, first_root)
    node, last = first - 1, second - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    if not nodes:
        raise ProofInvalid("the consistency proof is too short")
    former = latter = nodes[0]
    for sibling in nodes[1:]:
        if last == 0:
            raise ProofInvalid("the consistency proof is too long")
        if node & 1 or node == last:
            former = node_hash(sibling, former)
            latter = node_hash(sibling, latter)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            latter = node_hash(latter, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise ProofInvalid("the consistency proof is too short")
    if not compare_digest(former, first_root):
        raise ProofInvalid("the consistency proof does not lead to the first root")
    if not compare_digest(latter, second_root):
        raise ProofInvalid("the consistency proof does not lead to the second root")


def _require_hashes(*hashes: bytes) -> None:
    if any(len(each) != HASH_BYTES for each in hashes):
        raise ProofInvalid("a hash is not of 32 bytes")
