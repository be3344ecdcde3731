"""The paths whose size is measured are those of real trees."""

from itertools import pairwise

from benchmarks.parts.proof_size import drawn, drawn_measures, path_of
from creditgate.transparency.prefix_tree import EMPTY
from gateway.transparency.map_tiles import Tile, decoded
from gateway.transparency.map_tree import changed, find


def test_the_shape_of_a_path_is_that_of_the_tree_of_its_keys() -> None:
    keys = drawn(3_000)
    whole = [int(key).to_bytes(8, "big") + bytes(24) for key in keys]
    made = changed(lambda _: {}, EMPTY, dict.fromkeys(whole, b"\x01" * 32))

    def tile(place: int) -> Tile | None:
        kept = made.tiles.get(place)
        return None if kept is None else decoded(kept)

    for key, true_key in list(zip(keys, whole, strict=True))[::30]:
        true = find(tile, true_key, made.root).path
        path = path_of(keys, int(key))
        assert (path.depth, path.sibling_bits) == (true.depth, true.sibling_bits)
        assert len(path.siblings) == len(true.siblings)


def test_a_proof_grows_with_the_logarithm_of_the_records() -> None:
    figures = {each.name: each for each in drawn_measures()}
    assert all(each.met for each in figures.values() if each.met is not None)
    sizes = [
        figures[f"proofsize.drawn_complete_{10**power}_records"].spread.median
        for power in range(4, 8)
    ]
    steps = [after - before for before, after in pairwise(sizes)]
    assert max(steps) < 1.25 * min(steps)
