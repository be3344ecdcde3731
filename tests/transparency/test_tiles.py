"""Tiles, bundles and their paths, as C2SP tlog-tiles has them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.tiles import (
    Tile,
    bundle_of,
    entries_of,
    hashes_of,
    parse_tile_path,
    partial_width,
    tile_path,
)


def test_the_paths_of_the_specification_are_read_and_written() -> None:
    assert tile_path(Tile(0, 1_234_067, 256)) == "tile/0/x001/x234/067"
    assert tile_path(Tile(None, 273, 112)) == "tile/entries/273.p/112"


@given(st.one_of(st.none(), st.integers(0, 63)), st.integers(0, 10**15), st.integers(1, 256))
def test_a_tile_has_one_path(level: int | None, number: int, width: int) -> None:
    tile = Tile(level, number, width)
    assert parse_tile_path(tile_path(tile)) == tile


@pytest.mark.parametrize(
    "path",
    [
        "tile/64/000",
        "tile/00/000",
        "tile/-1/000",
        "tile/0/00",
        "tile/0/x000/000",
        "tile/0/001/000",
        "tile/0/x001/000.p/0",
        "tile/0/x001/000.p/256",
        "tile/0/000.p/01",
        "tile/0/٠٠٠",
        "tile/data/000",
        "tile/0/000/",
        "checkpoint",
        "tile/0/" + "x001/" * 50 + "000",
        "tile/0/" + "x999/" * 6 + "999",
    ],
)
def test_what_is_no_path_of_a_tile_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="tile"):
        parse_tile_path(path)


def test_the_tree_of_the_specification_has_its_partial_tiles() -> None:
    assert [partial_width(70_000, level) for level in range(4)] == [112, 17, 1, 0]
    assert [partial_width(256, level) for level in range(3)] == [0, 1, 0]


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_a_bundle_gives_back_its_entries_and_no_part_of_it_does(entries: list[bytes]) -> None:
    bundle = bundle_of(entries)
    assert entries_of(bundle) == entries
    if entries and entries[-1]:
        with pytest.raises(ProofInvalid):
            entries_of(bundle[:-1])


def test_an_entry_too_long_for_its_length_is_refused() -> None:
    with pytest.raises(ValueError, match="65,535"):
        bundle_of([bytes(65_536)])


def test_a_cut_tile_is_refused() -> None:
    with pytest.raises(ProofInvalid):
        hashes_of(bytes(33))
