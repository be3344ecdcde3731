"""Copies served under consents, as they are kept."""

from gateway.conformance.consented import all_copies, keep_copies
from gateway.conformance.served import CutCopy
from gateway.storage.engines import Engines, reading


def copy(sequence: int, keep_until: int, consent_id: str = "c-1") -> CutCopy:
    """Return a copy whose content is the same in every revision."""
    return CutCopy(sequence, b"e" * 16, b"d" * 32, 900, consent_id, keep_until)


def test_a_copy_that_a_correction_left_as_it_was_is_of_the_newest_revision(
    engines: Engines,
) -> None:
    with engines.evidence.begin() as connection:
        keep_copies(connection, "alpha", [copy(1, 100)])
    with engines.evidence.begin() as connection:
        keep_copies(connection, "alpha", [copy(7, 80), copy(7, 60, "c-2"), copy(9, 50, "c-2")])
    with reading(engines.evidence) as connection:
        kept = sorted(all_copies(connection, "alpha"), key=lambda each: each.consent_id)
    assert kept == [copy(7, 100), copy(9, 60, "c-2")]
