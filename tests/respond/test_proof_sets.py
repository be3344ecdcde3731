"""A proof is made only where what is served and the map are of one state of the disclosure."""

from collections.abc import Sequence

import pytest

from creditgate.v1.disclosure_proof_pb2 import MapPath, ProtectedOpening, SubjectProof
from gateway.disclose.model import LiveRevision
from gateway.respond.proof_sets import Serving, SetsDiffer, subject_proofs
from gateway.transparency.map_sets import (
    MapMember,
    ProtectedSet,
    PublicSet,
    SubjectAsk,
    SubjectSets,
)

SUBJECT = "91000000DEM000011A"
ASK = SubjectAsk(SUBJECT, frozenset({"fine"}), False, ("tax",))


def members(sequences: Sequence[int], item: str) -> list[MapMember]:
    """Return members of a set."""
    return [MapMember(number, item, bytes(32), 0, 9) for number in sequences]


def opened(_sequence: int, _served: bytes, _stored: bytes) -> ProtectedOpening:
    """Return an opening."""
    return ProtectedOpening()


def made(
    found: Sequence[int], served: Sequence[int], public: Sequence[int], tax: Sequence[int]
) -> list[SubjectProof]:
    """Prove what is served of what was found against a map that holds ``public`` and ``tax``."""
    rows = [LiveRevision(SUBJECT, number, 1, 0, 9, b"stored") for number in found]
    sets = SubjectSets(
        SUBJECT,
        PublicSet(MapPath(), (), members(public, "fine")),
        [ProtectedSet("tax", bytes(32), b"", MapPath(), members(tax, "tax"))],
    )
    serving = Serving(1, rows, dict.fromkeys(served, b"served"))
    return list(subject_proofs([ASK], [sets], serving, opened))


def test_what_is_served_and_withheld_is_the_maps() -> None:
    (proof,) = made(found=[1, 2, 3, 4], served=[1, 3], public=[1, 2], tax=[3])
    assert list(proof.items) == ["fine", "tax"]
    assert [member.item for member in proof.public_set.withheld] == ["fine"]
    assert len(proof.protected_sets[0].openings) == 1


@pytest.mark.parametrize(
    ("found", "served", "public", "tax"),
    [
        ([1, 2], [1, 2], [1], []),
        ([1, 3], [1, 3], [1], []),
        ([1], [1], [1, 2], []),
        ([1, 3], [1], [1], [3]),
        ([1], [1], [1], [3]),
    ],
    ids=[
        "served and not in the map",
        "protected, served and not in the map",
        "in the map and not found",
        "protected and not served",
        "protected and not found",
    ],
)
def test_states_that_differ_are_told_apart(
    found: list[int], served: list[int], public: list[int], tax: list[int]
) -> None:
    with pytest.raises(SetsDiffer):
        made(found, served, public, tax)
