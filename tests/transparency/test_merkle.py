"""Merkle trees against the vectors of transparency-dev/merkle, and against themselves."""

from base64 import b64decode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creditgate.transparency.merkle import (
    ProofInvalid,
    leaf_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from creditgate.transparency.tree import Subtrees
from tests.transparency.vectors import vectors

VECTORS = vectors("merkle")
LEAVES = [leaf_hash(bytes.fromhex(leaf)) for leaf in VECTORS["leaves"]]
# Sizes of 1 with roots of 12 bytes, which are no hashes: we take hashes only.
NO_HASHES = {"additional/sizes-are-equal-one-and-proof-is-empty"}


def _decoded(case: dict[str, Any], *names: str) -> list[bytes]:
    return [b64decode(case[name]) for name in names]


@pytest.mark.parametrize("case", VECTORS["inclusion"], ids=lambda case: case["desc"])
def test_a_published_inclusion_proof_is_judged_as_published(case: dict[str, Any]) -> None:
    root, leaf = _decoded(case, "root", "leafHash")
    path = [b64decode(each) for each in case["proof"]]
    try:
        verify_inclusion(case["leafIdx"], case["treeSize"], leaf, path, root)
    except ProofInvalid:
        assert case["wantErr"]
    else:
        assert not case["wantErr"]


@pytest.mark.parametrize("case", VECTORS["consistency"], ids=lambda case: case["desc"])
def test_a_published_consistency_proof_is_judged_as_published(case: dict[str, Any]) -> None:
    first, second = _decoded(case, "root1", "root2")
    proof = [b64decode(each) for each in case["proof"]]
    try:
        verify_consistency(case["size1"], case["size2"], first, second, proof)
    except ProofInvalid:
        assert case["wantErr"] or case["desc"] in NO_HASHES
    else:
        assert not case["wantErr"]


def test_roots_are_those_published() -> None:
    for size, root in enumerate(VECTORS["roots"], 1):
        assert root_of(LEAVES[:size]).hex() == root


def _tree(leaves: list[bytes]) -> Any:
    def read(level: int, number: int) -> bytes:
        span = 256**level
        tiles = [root_of(leaves[i : i + span]) for i in range(0, len(leaves) - span + 1, span)]
        return b"".join(tiles[number * 256 : (number + 1) * 256])

    return read


@given(st.data(), st.integers(1, 700))
def test_every_proof_out_of_tiles_holds_and_no_other_root_fits(
    data: st.DataObject, second: int
) -> None:
    leaves = [leaf_hash(number.to_bytes(4, "big")) for number in range(second)]
    read, trees = _tree(leaves), Subtrees()
    first = data.draw(st.integers(1, second))
    index = data.draw(st.integers(0, first - 1))
    former, latter = root_of(leaves[:first]), root_of(leaves)
    path = trees.inclusion(index, first, read)
    verify_inclusion(index, first, leaves[index], path, former)
    proof = trees.consistency(first, second, read)
    verify_consistency(first, second, former, latter, proof)
    other = leaf_hash(b"other")
    with pytest.raises(ProofInvalid):
        verify_inclusion(index, first, other, path, former)
    with pytest.raises(ProofInvalid):
        verify_consistency(first, second, other, latter, proof)
    if path:
        changed = data.draw(st.integers(0, len(path) - 1))
        with pytest.raises(ProofInvalid):
            verify_inclusion(
                index,
                first,
                leaves[index],
                [*path[:changed], other, *path[changed + 1 :]],
                former,
            )
        with pytest.raises(ProofInvalid):
            verify_inclusion(index, first, leaves[index], path[:-1], former)
    with pytest.raises(ProofInvalid):
        verify_inclusion(index, first, leaves[index], [*path, other], former)
    if proof:
        changed = data.draw(st.integers(0, len(proof) - 1))
        with pytest.raises(ProofInvalid):
            verify_consistency(
                first, second, former, latter, [*proof[:changed], other, *proof[changed + 1 :]]
            )


@given(st.lists(st.binary(max_size=8), max_size=20))
def test_hashes_that_are_no_hashes_are_refused(path: list[bytes]) -> None:
    with pytest.raises(ProofInvalid):
        verify_inclusion(0, 2, LEAVES[0], [*path, b"short"], LEAVES[0])
