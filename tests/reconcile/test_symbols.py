"""Symbols are what the format says, however they came about."""

import json
import os
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from creditgate.reconcile.elements import element_of, elements_of, joined
from creditgate.reconcile.symbols import CodedSet, Symbols, coded
from creditgate.transparency.facts import Copy, copy_digest
from tests.reconcile.plain import indices, symbols

VECTORS = Path(__file__).parent / "vectors" / "symbols.json"
KEY = bytes(range(16))
elements = st.binary(min_size=16, max_size=16)
# A few go on one by one, many all at once.
many = st.integers(0, 1_000).map(
    lambda seed: frozenset(Random(seed).randbytes(16) for _ in range(300))
)
sets = st.frozensets(elements, max_size=40) | many


@given(held=sets, number=st.integers(1, 200))
@settings(max_examples=50)
def test_symbols_are_those_of_the_format(held: frozenset[bytes], number: int) -> None:
    assert coded(b"".join(held), KEY).symbols(0, number).packed() == symbols(held, KEY, number)


@given(held=sets, cuts=st.lists(st.integers(0, 60), max_size=6))
@settings(max_examples=50)
def test_symbols_made_bit_by_bit_are_those_made_at_once(
    held: frozenset[bytes], cuts: list[int]
) -> None:
    own = coded(b"".join(held), KEY)
    parts = [
        own.symbols(first, until - first)
        for first, until in zip([0, *sorted(cuts)], [*sorted(cuts), 64], strict=True)
    ]
    packed = b"".join(part.packed() for part in parts)
    assert packed == symbols(held, KEY, 64)


@given(first=sets, changes=st.lists(st.tuples(sets, st.integers(0, 50)), max_size=4))
@settings(max_examples=50)
def test_symbols_follow_what_is_added_and_removed(
    first: frozenset[bytes], changes: list[tuple[frozenset[bytes], int]]
) -> None:
    held = first
    own = coded(b"".join(held), KEY)
    for other, ready in changes:
        own.symbols(0, ready)
        own.add(joined(other - held))
        own.remove(joined(held - other))
        held = other
    assert own.symbols(0, 64).packed() == symbols(held, KEY, 64)


@given(symbols_=st.lists(st.binary(min_size=26, max_size=26), max_size=10))
@settings(max_examples=50)
def test_packed_symbols_are_read_as_they_are_written(symbols_: list[bytes]) -> None:
    packed = b"".join(symbols_)
    assert Symbols.unpacked(packed).packed() == packed


@pytest.mark.parametrize("size", [1, 25, 27])
def test_broken_symbols_are_refused(size: int) -> None:
    with pytest.raises(ValueError):
        Symbols.unpacked(bytes(size))


def test_an_element_is_in_a_symbol_as_often_as_the_paper_says() -> None:
    """Probability 1 / (1 + i / 2) for symbol i (Yang et al., section 4.2), but for rounding,
    which the first ones feel."""
    number = 20_000
    own = CodedSet(os.urandom(16))
    own.add(elements_of(os.urandom(16 * number)))
    counts = own.symbols(0, 64).counts.astype(np.float64)
    expected = number / (1 + np.arange(64) / 2)
    assert np.all(np.abs(counts / expected - 1) < 0.06 + 6 / np.sqrt(expected))


def test_more_than_65535_elements_are_counted_modulo_65536() -> None:
    own = CodedSet(KEY)
    own.add(elements_of(os.urandom(16 * 70_000)))
    assert own.symbols(0, 1).counts.tolist() == [70_000 - 65_536]


def test_published_vectors_hold() -> None:
    """What an implementation in any language must give."""
    vectors = json.loads(VECTORS.read_text(encoding="utf-8"))
    for copy in vectors["copies"]:
        held = Copy(
            copy["record_id"],
            bytes.fromhex(copy["content_digest"]),
            copy["disclosed_from"],
            copy["disclosed_until"],
        )
        assert copy_digest(held).hex() == copy["copy_digest"]
        assert element_of(held).hex() == copy["element"]
    key = bytes.fromhex(vectors["checksum_key"])
    held_elements = [bytes.fromhex(copy["element"]) for copy in vectors["copies"]]
    for copy, element in zip(vectors["copies"], held_elements, strict=True):
        assert list(indices(element, key, 1_000)) == copy["symbols"]
    packed = bytes.fromhex("".join(vectors["symbols"]))
    assert coded(b"".join(held_elements), key).symbols(0, 16).packed() == packed
    assert symbols(held_elements, key, 16) == packed
