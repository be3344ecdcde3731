"""Copies served under consents, as they are kept."""

from gateway.conformance.consented import all_copies, keep_copies
from gateway.conformance.served import CutCopy
from gateway.storage.engines import Engines, reading


def copy(sequence: int, keep_until: int, consent_id: str = "c-1") -> CutCopy:
    """Return a copy whose content is the same in every revision."""
    return CutCopy(sequence, b"e" * 16, b"d" * 32, 900, consent_id, keep_until)


def test_copies_alike_of_two_revisions_are_kept_apart_and_each_as_long_as_its_last(
    engines: Engines,
) -> None:
    with engines.evidence.begin() as connection:
        keep_copies(connection, "alpha", [copy(1, 100)])
    with engines.evidence.begin() as connection:
        keep_copies(connection, "alpha", [copy(1, 80), copy(7, 60, "c-2"), copy(9, 50, "c-2")])
        keep_copies(connection, "alpha", [copy(9, 70, "c-2")])
    with reading(engines.evidence) as connection:
        kept = sorted(all_copies(connection, "alpha"))
    assert kept == [copy(1, 100), copy(7, 60, "c-2"), copy(9, 70, "c-2")]
