"""The map's trees, changed by the batch, against trees worked out from nothing."""

from collections.abc import Collection, Mapping
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.prefix_tree import EMPTY, path_root
from creditgate.v1.disclosure_proof_pb2 import MapPath
from gateway.transparency.map_tiles import MOST_LEAVES, Branch, MapDamaged, Tile, decoded
from gateway.transparency.map_tree import Found, changed, find
from tests.examples import examples
from tests.transparency import proving

Batch = Mapping[int, int | None]
NUMBERS = st.integers(0, 149)
BATCHES = st.lists(
    st.dictionaries(NUMBERS, st.none() | st.integers(0, 3), min_size=30, max_size=120),
    min_size=1,
    max_size=4,
)


class Tree:
    """A tree whose tiles are kept in memory."""

    def __init__(self) -> None:
        self.tiles: dict[int, bytes] = {}
        self.leaves: dict[bytes, bytes] = {}
        self.root = EMPTY

    def change(self, batch: Batch) -> None:
        """Give keys their values, or none."""
        changes = {
            key_of(number): None if value is None else value_of(value)
            for number, value in batch.items()
        }
        after = changed(self.kept, self.root, changes)
        self.root = after.root
        for place, tile in after.tiles.items():
            if tile is None:
                self.tiles.pop(place, None)
            else:
                self.tiles[place] = tile
        for key, value in changes.items():
            if value is None:
                self.leaves.pop(key, None)
            else:
                self.leaves[key] = value

    def kept(self, places: Collection[int]) -> Mapping[int, bytes]:
        """Give the tiles kept at some places."""
        return {place: self.tiles[place] for place in places if place in self.tiles}

    def find(self, key: bytes) -> Found:
        """Return what the tree has of a key."""
        return find(self.tile, key, self.root)

    def tile(self, place: int) -> Tile | None:
        """Give the tile at a place."""
        return decoded(self.tiles[place]) if place in self.tiles else None


def key_of(number: int) -> bytes:
    """Return a key: one in three begins as many others do, one in fifty differs late."""
    digest = sha256(number.to_bytes(2, "big")).digest()
    if number % 50 == 0:
        return b"\xa5" * 31 + bytes((number,))
    return b"\xa5\x5a\x00" + digest[3:] if number % 3 == 0 else digest


def value_of(number: int) -> bytes:
    """Return one of a few values."""
    return sha256(b"value" + bytes((number,))).digest()


@settings(max_examples=examples(80))
@given(BATCHES)
def test_a_tree_changed_by_batches_is_the_tree_of_what_it_holds(batches: list[Batch]) -> None:
    tree = Tree()
    for batch in batches:
        tree.change(batch)
        assert tree.root == proving.root(tree.leaves)


@settings(max_examples=examples(40))
@given(BATCHES, st.lists(NUMBERS, max_size=12))
def test_what_is_found_is_proved_by_the_one_path_there_is(
    batches: list[Batch], asked: list[int]
) -> None:
    tree = Tree()
    for batch in batches:
        tree.change(batch)
    for key in map(key_of, asked):
        found = tree.find(key)
        assert found.value == tree.leaves.get(key)
        assert found.path == proving.path(tree.leaves, key)
        assert path_root(key, found.value, found.path) == tree.root


@settings(max_examples=examples(40))
@given(BATCHES)
def test_a_tree_emptied_keeps_nothing(batches: list[Batch]) -> None:
    tree = Tree()
    for batch in batches:
        tree.change(batch)
    tree.change(dict.fromkeys(range(150)))
    assert tree.root == EMPTY
    assert not tree.tiles


def grown() -> Tree:
    """Return a tree with branches above one another and a leaf that stands in a branch."""
    tree = Tree()
    tree.change({number: number % 4 for number in range(150)})
    tree.change(dict.fromkeys([number for number in range(150) if number % 3]))
    tree.change({1: 1, 2: 2})
    assert len(tree.leaves) > MOST_LEAVES
    return tree


def asked_through(tree: Tree) -> dict[int, dict[bytes, Found]]:
    """Return by place the keys that are found through its tile, and what is found."""
    through: dict[int, dict[bytes, Found]] = {place: {} for place in tree.tiles}
    for key in map(key_of, range(150)):
        seen: list[int] = []

        def tile(place: int, seen: list[int] = seen) -> Tile | None:
            seen.append(place)
            return tree.tile(place)

        found = find(tile, key, tree.root)
        for place in seen:
            through[place][key] = found
    return through


def test_a_tile_with_any_byte_altered_is_never_believed() -> None:
    tree = grown()
    for place, asked in asked_through(tree).items():
        kept = tree.tiles[place]
        for at in range(0, len(kept), max(1, len(kept) // 40)):
            tree.tiles[place] = kept[:at] + bytes((kept[at] ^ 1 << at % 8,)) + kept[at + 1 :]
            damaged = 0
            for key, before in asked.items():
                try:
                    assert tree.find(key) == before
                except MapDamaged:
                    damaged += 1
            assert damaged
        tree.tiles[place] = kept


def test_what_was_altered_or_taken_away_is_not_built_upon() -> None:
    tree = grown()
    for place, kept in [*tree.tiles.items()]:
        for damaged in (kept[:-1] + bytes((kept[-1] ^ 1,)), None):
            tree.tiles.pop(place)
            if damaged is not None:
                tree.tiles[place] = damaged
            with pytest.raises(MapDamaged):
                tree.change(dict.fromkeys(range(150), 3))
            tree.tiles[place] = kept


def test_a_branch_that_no_longer_tells_a_leaf_from_a_node_proves_nothing() -> None:
    tree = Tree()
    tree.change(dict.fromkeys(range(100), 0))
    before = {**tree.tiles}
    for place, kept in before.items():
        branch = decoded(kept)
        told = branch.slots()[1] if isinstance(branch, Branch) else 0
        for slot in range(16):
            if not told >> slot & 1:
                continue
            tree.tiles[place] = kept[:3] + (told ^ 1 << slot).to_bytes(2, "big") + kept[5:]
            leaf = _leaf_in(before, place * 16 + slot)
            others = [number for number in range(100) if key_of(number) != leaf]
            with pytest.raises(MapDamaged):
                tree.change(dict.fromkeys(others))
                tree.find(leaf)
            tree = Tree()
            tree.change(dict.fromkeys(range(100), 0))


def _leaf_in(tiles: Mapping[int, bytes], place: int) -> bytes:
    """Return the key of the one leaf at or below a place."""
    tile = decoded(tiles[place])
    if isinstance(tile, Branch):
        (slot,) = [slot for slot, digest in enumerate(tile.slots()[0]) if digest != EMPTY]
        return _leaf_in(tiles, place * 16 + slot)
    return tile.leaves[0][0]


def test_a_missing_tile_is_never_taken_for_the_absence_of_leaves() -> None:
    tree = grown()
    keys = [*map(key_of, range(150))]
    for place in [*tree.tiles]:
        kept = tree.tiles.pop(place)
        with pytest.raises(MapDamaged):
            for key in keys:
                tree.find(key)
        tree.tiles[place] = kept


def test_a_path_proves_one_fact_only() -> None:
    tree = grown()
    for key in map(key_of, range(150)):
        found = tree.find(key)
        for value in {None, *map(value_of, range(4))} - {found.value}:
            try:
                root = path_root(key, value, found.path)
            except ProofInvalid:
                continue
            assert root != tree.root


def altered_paths(path: MapPath) -> list[MapPath]:
    """Return paths that differ from one in a byte, in the order of their serialised form."""
    kept = path.SerializeToString(deterministic=True)
    paths: list[MapPath] = []
    for at in range(len(kept)):
        for mask in (1, 0x80):
            try:
                other = MapPath.FromString(kept[:at] + bytes((kept[at] ^ mask,)) + kept[at + 1 :])
            except Exception:
                continue
            if other.SerializeToString(deterministic=True) != kept:
                paths.append(other)
    return paths


def test_a_path_with_any_byte_altered_is_detected() -> None:
    tree = grown()
    for number in (0, 1, 4, 50, 148):
        key = key_of(number)
        found = tree.find(key)
        for other in altered_paths(found.path):
            try:
                root = path_root(key, found.value, other)
            except ProofInvalid:
                continue
            # A field that the format does not have is the strict reader's to refuse.
            other.DiscardUnknownFields()
            assert root != tree.root or other == found.path


LEAF = b"\x11" * 32
SIBLING = b"\x22" * 32


@pytest.mark.parametrize(
    ("key", "value", "path"),
    [
        (LEAF, LEAF, MapPath(depth=1, sibling_bits=b"\x00")),
        (LEAF, LEAF, MapPath(depth=1, sibling_bits=b"\x80")),
        (LEAF, LEAF, MapPath(depth=1, sibling_bits=b"\xc0", siblings=[SIBLING, SIBLING])),
        (LEAF, LEAF, MapPath(depth=1, sibling_bits=b"\x80", siblings=[EMPTY])),
        (LEAF, LEAF, MapPath(depth=2, sibling_bits=b"\xc0", siblings=[EMPTY, SIBLING])),
        (LEAF, LEAF, MapPath(depth=1, sibling_bits=b"\x80", siblings=[SIBLING[:31]])),
        (LEAF, LEAF, MapPath(depth=1, sibling_bits=b"\x80\x00", siblings=[SIBLING])),
        (LEAF, LEAF, MapPath(depth=-1)),
        (LEAF, LEAF, MapPath(depth=257, sibling_bits=bytes(33))),
        (LEAF, LEAF, MapPath(absent=True)),
        (LEAF, LEAF, MapPath(other_key=SIBLING)),
        (LEAF, b"\x11", MapPath()),
        (b"\x11", LEAF, MapPath()),
        (LEAF, None, MapPath()),
        (LEAF, None, MapPath(other_key=LEAF, other_value=LEAF)),
        (LEAF, None, MapPath(other_key=SIBLING, other_value=b"")),
        (LEAF, None, MapPath(absent=True, other_key=SIBLING, other_value=SIBLING)),
        (LEAF, None, MapPath(absent=True, depth=1, sibling_bits=b"\x00")),
        (
            LEAF,
            None,
            MapPath(
                other_key=b"\xff" * 32,
                other_value=LEAF,
                depth=1,
                sibling_bits=b"\x80",
                siblings=[SIBLING],
            ),
        ),
    ],
)
def test_a_path_of_no_form_is_refused(key: bytes, value: bytes | None, path: MapPath) -> None:
    with pytest.raises(ProofInvalid):
        path_root(key, value, path)
