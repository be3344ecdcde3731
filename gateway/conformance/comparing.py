"""What an attestation changes in the findings against an operator. Pure."""

from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

from gateway.conformance.model import (
    ATTESTATION_FALSE,
    ATTESTATION_OVERDUE,
    MISSING,
    REMOVAL_OVERDUE,
    Difference,
    Finding,
)

MOST_LISTED: Final = 10_000
"""Most findings that stand against one operator at a time, and as many again that are for
information. Further differences are counted and become findings when others are mended."""


class Compared(NamedTuple):
    """``gone`` are findings that no longer hold, ``stay`` those that do. ``new`` are
    differences to be found, each with the finding it takes the place of; ``unlisted`` counts
    what there is no room for, information left out."""

    gone: Sequence[Finding]
    stay: Sequence[Finding]
    new: Sequence[tuple[Difference, Finding | None]]
    unlisted: int


def compare(
    standing: Iterable[Finding],
    differences: Sequence[Difference],
    disclosure_sequence: int,
    ended: Collection[int],
    dismissed: Collection[tuple[int, str, bytes]] = (),
) -> Compared:
    """Return what an attestation with ``differences`` makes of the findings that stood.

    It says nothing of events after ``disclosure_sequence``. ``ended`` are the revisions among
    those of `ATTESTATION_FALSE` that are disclosed no longer. ``dismissed`` are what an
    administrator has found right, by kind, record and digest held: they are not found again.
    """
    found = {(each.kind, each.record_id) for each in differences}
    missing = {each.record_id for each in differences if each.kind == MISSING}
    held = {each.record_id for each in differences if each.kind != MISSING}

    def is_gone(finding: Finding) -> bool:
        match finding.kind:
            case kind if kind == ATTESTATION_OVERDUE:
                return True
            case kind if kind == REMOVAL_OVERDUE:
                return (
                    finding.record_id not in held and finding.event_sequence <= disclosure_sequence
                )
            case kind if kind == ATTESTATION_FALSE:
                # The operator says otherwise now, or the copy must be gone anyway.
                told = finding.record_id in missing or finding.record_id in held
                return told or finding.revision_sequence in ended
            case kind:
                said = finding.event_sequence <= disclosure_sequence
                return said and (kind, finding.record_id) not in found

    gone: list[Finding] = []
    stay: list[Finding] = []
    for finding in standing:
        (gone if is_gone(finding) else stay).append(finding)
    known = {(each.kind, each.record_id) for each in stay}
    fresh = [
        each
        for each in differences
        if (each.kind, each.record_id) not in known
        and (each.kind, each.record_id, each.held_digest) not in dismissed
    ]
    # The gravest first, should there not be room for all.
    faults = sorted(
        (each for each in fresh if each.kind != MISSING), key=lambda each: -each.severity
    )
    information = [each for each in fresh if each.kind == MISSING]
    stand = sum(each.kind != MISSING for each in stay)
    listed = faults[: max(0, MOST_LISTED - stand)]
    shown = information[: max(0, MOST_LISTED - (len(stay) - stand))]
    before = {
        each.record_id: each
        for each in sorted(gone, key=lambda each: -each.deadline)
        if each.kind != MISSING and each.record_id
    }
    return Compared(
        gone,
        stay,
        [(each, before.get(each.record_id)) for each in listed] + [(each, None) for each in shown],
        len(faults) - len(listed),
    )
