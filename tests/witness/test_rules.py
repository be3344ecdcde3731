"""A witness cosigns exactly what extends all it cosigned before."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creditgate.transparency.merkle import EMPTY_ROOT, ProofInvalid
from creditgate.transparency.note import Checkpoint
from gateway.federation.witness.rules import (
    MOST_PROOF_NODES,
    Judgement,
    ShownInvalid,
    judged,
    quorum_of,
)
from sdk.histories import SplitView
from tests.witness.histories import History, forked

TEXTS = [f"entry {number}" for number in range(70)]
SIZES = st.integers(1, len(TEXTS))


@given(SIZES, SIZES)
def test_what_extends_the_last_is_cosigned(first: int, second: int) -> None:
    history = History.of(TEXTS)
    old, new = sorted((first, second))
    verdict = judged(history.checkpoint(old), history.checkpoint(new), old, history.proof(old, new))
    assert verdict.judgement is Judgement.COSIGN


@given(st.integers(0, 69), SIZES, SIZES)
def test_of_two_histories_the_other_is_never_cosigned(parted: int, first: int, second: int) -> None:
    one, other = forked(TEXTS, parted)
    old, new = sorted((first, second))
    last, shown = one.checkpoint(old), other.checkpoint(new)
    try:
        verdict = judged(last, shown, old, other.proof(old, new))
    except ProofInvalid:
        # A whole tree has its root in no proof: the log's files tell.
        assert old & (old - 1) == 0
        assert parted < old < new
        return
    if parted >= old:
        assert verdict.judgement is Judgement.COSIGN
        return
    assert verdict.judgement is Judgement.CONTRADICTS
    assert verdict.split is not None
    split = SplitView(one.note(old), other.note(new), verdict.split.root, verdict.split.proof)
    split.require(one.key.verifier)


@given(SIZES, SIZES, SIZES)
def test_of_another_size_than_the_last_nothing_is_cosigned(
    last: int, claimed: int, size: int
) -> None:
    history = History.of(TEXTS)
    claimed, size = sorted((claimed, size))
    verdict = judged(
        history.checkpoint(last), history.checkpoint(size), claimed, history.proof(claimed, size)
    )
    assert (verdict.judgement is Judgement.STALE) == (claimed != last)


def test_the_first_checkpoint_needs_no_proof_and_takes_none() -> None:
    history = History.of(TEXTS)
    assert judged(None, history.checkpoint(9), 0, ()).judgement is Judgement.COSIGN
    with pytest.raises(ProofInvalid):
        judged(None, history.checkpoint(9), 0, [bytes(32)])


def test_a_tree_without_leaves_has_the_root_of_nothing() -> None:
    assert judged(None, Checkpoint("log", 0, EMPTY_ROOT), 0, ()).judgement is Judgement.COSIGN
    with pytest.raises(ProofInvalid):
        judged(None, Checkpoint("log", 0, bytes(32)), 0, ())


def test_two_roots_of_one_size_contradict_whatever_comes_with_them() -> None:
    one, other = forked(TEXTS, 3)
    for old, proof in ((0, ()), (9, ()), (5, (bytes(32),))):
        verdict = judged(one.checkpoint(9), other.checkpoint(9), old, proof)
        assert verdict.judgement is Judgement.CONTRADICTS
        assert verdict.split is not None
        SplitView(one.note(9), other.note(9), *verdict.split).require(one.key.verifier)


@pytest.mark.parametrize("old", [-1, 10])
def test_an_old_size_beyond_the_checkpoint_is_no_request(old: int) -> None:
    with pytest.raises(ShownInvalid):
        judged(None, History.of(TEXTS).checkpoint(9), old, ())


def test_a_proof_longer_than_any_is_no_request() -> None:
    history = History.of(TEXTS)
    with pytest.raises(ShownInvalid):
        judged(
            history.checkpoint(5),
            history.checkpoint(9),
            5,
            [bytes(32)] * (MOST_PROOF_NODES + 1),
        )


def test_a_quorum_is_more_than_half_unless_it_is_set() -> None:
    assert [quorum_of(count, None) for count in range(6)] == [1, 1, 2, 2, 3, 3]
    assert quorum_of(30, 5) == 5
