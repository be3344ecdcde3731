"""What two sets differ by is found from their symbols, and never anything else."""

import os
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from creditgate.reconcile import decode
from creditgate.reconcile.decode import MOST_ROUNDS, Decoder, SymbolsInconsistent
from creditgate.reconcile.elements import WORD, Words, checksums_of
from creditgate.reconcile.symbols import CodedSet, Mapped, Symbols, coded
from tests.examples import examples
from tests.reconcile.plain import indices

KEY = bytes(range(16))
elements = st.binary(min_size=16, max_size=16)
sets = st.sets(elements, max_size=60)


def decoded(theirs: CodedSet, ours: CodedSet, surplus: int, most: int = 4_000) -> Decoder:
    """Return a decoder that was given symbols until it had decoded."""
    decoder, wanted = Decoder(KEY, surplus), 16
    while not decoder.decoded:
        first = decoder.taken
        assert first < most, "more symbols than so few differences need"
        decoder.take(theirs.symbols(first, wanted), ours.symbols(first, wanted))
        wanted = decoder.wanted()
    return decoder


def _set(words: Words) -> set[bytes]:
    return {each.tobytes() for each in words}


@given(both=sets, only_theirs=sets, only_ours=sets)
@settings(max_examples=examples(150))
def test_the_differences_found_are_the_differences(
    both: set[bytes], only_theirs: set[bytes], only_ours: set[bytes]
) -> None:
    theirs, ours = both | only_theirs, both | only_ours
    found = decoded(
        coded(b"".join(theirs), KEY), coded(b"".join(ours), KEY), len(theirs) - len(ours)
    )
    assert (_set(found.theirs), _set(found.ours)) == (theirs - ours, ours - theirs)


@pytest.mark.parametrize("differences", [1, 10, 100, 1_000, 10_000])
def test_symbols_needed_grow_with_the_differences(differences: int) -> None:
    """Not with the sets: at most 1.75 for each difference and some, as in the paper."""
    # Always the same sets: of drawn ones, one in sixty or so needs a few more.
    drawn = random.Random(differences)
    both = drawn.randbytes(16 * 20_000)
    half = differences // 2
    own, other = drawn.randbytes(16 * half), drawn.randbytes(16 * (differences - half))
    found = decoded(
        coded(both + other, KEY), coded(both + own, KEY), differences - 2 * half, most=10**6
    )
    assert len(found.theirs) + len(found.ours) == differences
    assert found.taken <= 64 + 1.75 * differences


def test_how_many_differ_is_estimated_from_a_few_symbols() -> None:
    both = os.urandom(16 * 10_000)
    theirs, ours = coded(both, KEY), coded(both[: 16 * 7_000] + os.urandom(16 * 2_000), KEY)
    decoder = Decoder(KEY, surplus=1_000)
    decoder.take(theirs.symbols(0, 64), ours.symbols(0, 64))
    assert 2_500 < decoder.expected() < 10_000


@given(held=sets, data=st.data())
@settings(max_examples=examples(100))
def test_symbols_of_no_set_are_never_taken_for_differences(
    held: set[bytes], data: st.DataObject
) -> None:
    """Whoever makes symbols up is either found out or never decodes; nothing hangs."""
    ours = coded(b"".join(held), KEY)
    packed = bytearray(ours.symbols(0, 32).packed())
    for _ in range(data.draw(st.integers(1, 8))):
        packed[data.draw(st.integers(0, len(packed) - 1))] ^= data.draw(st.integers(1, 255))
    decoder = Decoder(KEY, surplus=0)
    try:
        decoder.take(Symbols.unpacked(bytes(packed)), ours.symbols(0, 32))
    except SymbolsInconsistent:
        return
    assert not decoder.decoded or bytes(packed) == ours.symbols(0, 32).packed()


def test_an_element_forged_into_one_symbol_alone_is_found_out() -> None:
    forged = Symbols.none(32)
    one = coded(b"x" * 16, KEY).symbols(0, 1)
    for index in (0, 3, 5):
        forged.sums[index], forged.checks[index], forged.counts[index] = (
            one.sums[0],
            one.checks[0],
            1,
        )
    decoder = Decoder(KEY, surplus=0)
    try:
        decoder.take(forged, Symbols.none(32))
    except SymbolsInconsistent:
        return
    assert not decoder.decoded


def test_another_key_decodes_nothing() -> None:
    held = os.urandom(16 * 4)
    decoder = Decoder(KEY, surplus=4)
    decoder.take(coded(held, bytes(16)).symbols(0, 64), CodedSet(KEY).symbols(0, 64))
    assert not decoder.decoded
    assert not len(decoder.theirs)


def _mapped(count: int, limit: int) -> tuple[Mapped, list[list[int]]]:
    """Return elements of no set, and the symbols below ``limit`` each is mapped to."""
    packed = random.Random(1).randbytes(16 * count)
    words = np.frombuffer(packed, WORD).reshape(count, 2)
    places = [list(indices(packed[at : at + 16], KEY, limit)) for at in range(0, len(packed), 16)]
    return Mapped.at_start(words, checksums_of(words, KEY), np.ones(count, np.uint16)), places


def _path(places: list[list[int]], limit: int) -> tuple[list[int], list[int]]:
    """Return elements and symbols by turns: each element is mapped to its symbol and the next,
    and to none before."""
    at: list[list[int]] = [[] for _ in range(limit)]
    for element, symbols in enumerate(places):
        for symbol in symbols:
            at[symbol].append(element)
    chain, slots, used, symbol = list[int](), list[int](), set[int](), limit - 1
    while symbol >= 0:
        further = -1
        for element in at[symbol]:
            others = [each for each in places[element] if each > limit // 4 and each != symbol]
            if others and used.isdisjoint(others):
                further = others[-1]
                chain.append(element)
                slots.append(symbol)
                break
        used.add(symbol)
        symbol = further
    return chain, slots


def _chain(limit: int) -> tuple[Symbols, int]:
    """Return symbols made up so that each round of peeling frees one element, which may be
    where it is found, and how many rounds that would be."""
    made_of, places = _mapped(2 * limit, limit)
    chain, slots = _path(places, limit)
    junk = np.random.default_rng(1)
    made = Symbols(
        junk.integers(1, 2**63, (limit, 2), WORD),
        junk.integers(1, 2**63, limit, WORD),
        np.full(limit, 9_999, np.uint16),
    )
    position = {slot: place for place, slot in enumerate(slots)}
    for slot in slots:
        made.sums[slot], made.checks[slot], made.counts[slot] = 0, 0, 0
    for place, element in enumerate(chain):
        for slot in places[element]:
            if place <= position.get(slot, -1):
                made.sums[slot] ^= made_of.elements[element]
                made.checks[slot] ^= made_of.checks[element]
                made.counts[slot] += 1
    return made, len(chain)


def test_symbols_made_up_to_free_one_element_a_round_are_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    most = 64
    monkeypatch.setattr(decode, "MOST_ROUNDS", most)
    made, rounds = _chain(1_000)
    assert rounds > most
    decoder = Decoder(KEY, rounds)
    decoder.take(made, Symbols.none(1_000))
    assert decoder.exhausted
    assert not decoder.decoded
    assert len(decoder.theirs) == most


def test_an_element_found_where_it_cannot_be_is_found_out() -> None:
    elements_, places = _mapped(1, 64)
    elsewhere = next(index for index in range(64) if index not in places[0])
    forged = Symbols.none(64)
    forged.sums[elsewhere], forged.checks[elsewhere] = elements_.elements[0], elements_.checks[0]
    forged.counts[elsewhere] = 1
    with pytest.raises(SymbolsInconsistent):
        Decoder(KEY, surplus=0).take(forged, Symbols.none(64))


@pytest.mark.parametrize("differences", [1, 100, 10_000])
def test_what_two_sets_differ_by_needs_a_small_part_of_the_rounds(
    differences: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode, "MOST_ROUNDS", MOST_ROUNDS // 4)
    found = decoded(coded(os.urandom(16 * differences), KEY), CodedSet(KEY), differences, 10**6)
    assert not found.exhausted
