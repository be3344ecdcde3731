"""What an attestation changes in the findings against an operator. Pure."""

from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

from creditgate.v1.conformance_service_pb2 import FindingKind
from gateway.conformance.model import (
    ATTESTATION_FALSE,
    ATTESTATION_OVERDUE,
    CONTESTED,
    MISSING,
    OPEN,
    REMOVAL_OVERDUE,
    Difference,
    Finding,
)
from gateway.conformance.spoken import Spoken

ALTERED: Final = (
    FindingKind.FINDING_KIND_CONTENT_ALTERED,
    FindingKind.FINDING_KIND_PERIOD_ALTERED,
)
"""Kinds of findings that a copy held instead of the right one makes."""
MOST_LISTED: Final = 10_000
"""Most findings that stand against one operator at a time, and as many again that are for
information. Further differences are counted and become findings when others are mended."""


class Compared(NamedTuple):
    """``gone`` are findings that no longer hold, ``stay`` those that do. ``new`` are
    differences to be found, each with the finding it takes the place of; ``unlisted`` counts
    what there is no room for, information left out. ``waiting`` are those that stay, and count for
    nothing meanwhile, because the right copy was not asked for yet, and ``unasked`` the revisions
    these are of, and new ones may be."""

    gone: Sequence[Finding]
    stay: Sequence[Finding]
    new: Sequence[tuple[Difference, Finding | None]]
    unlisted: int
    waiting: Sequence[Finding] = ()
    unasked: Collection[int] = ()

    def waits(self, new: Difference) -> bool:
        """Tell whether what is newly found waits for its copy to be asked for."""
        return new.kind == ATTESTATION_FALSE and new.revision_sequence in self.unasked

    @property
    def number_waiting(self) -> int:
        """How many wait."""
        return len(self.waiting) + sum(self.waits(each) for each, _ in self.new)

    @property
    def standing(self) -> int:
        """How many stand against the operator: what is contested or for information left out."""
        stay = sum(each.kind != MISSING and each.state != CONTESTED for each in self.stay)
        return stay + sum(each.kind != MISSING for each, _ in self.new) + self.unlisted

    @property
    def is_clean(self) -> bool:
        """Whether nothing stands; nothing is certified over what is contested either."""
        return not self.standing and all(each.kind == MISSING for each in self.stay)


class Dismissed(NamedTuple):
    """A copy that an administrator has found right as to one kind."""

    kind: int
    record: tuple[str, str]
    copy_digest: bytes


def compare(
    standing: Iterable[Finding],
    differences: Sequence[Difference],
    spoken: Spoken,
    ended: Collection[int],
    dismissed: Collection[Dismissed] = (),
    before: Iterable[Finding] = (),
    false_before: Finding | None = None,
    beyond: int = 0,
    later: Collection[int] = (),
    unasked: Collection[int] = (),
) -> Compared:
    """Return what an attestation with ``differences`` makes of the findings that stood.

    It says nothing of events but those ``spoken`` of. ``ended`` are the revisions among
    those of `ATTESTATION_FALSE` that are disclosed no longer. Copies ``dismissed`` are not
    found again, others of the same record are. ``before`` are findings rectified not long ago,
    whose time goes on where the same is found again; ``false_before`` is that whose time goes on
    in any false attestation. ``beyond`` are faults there are besides ``differences``, of any
    record: where there are some, nothing is known to be mended, or missing. ``later`` are revisions
    served after the copies were read, and not held: what was found of copies of these stays.
    ``unasked`` are revisions of which a right copy is attested, and not asked for yet: that an
    altered one of these was found stays, since a word alone mends nothing that was caught; what is
    found of these waits.
    """
    standing = list(standing)
    lacking = [] if beyond else truly_missing(differences)
    told = [
        each
        for each in (*(each for each in differences if each.kind != MISSING), *lacking)
        if Dismissed(each.kind, each.record, each.copy_digest) not in dismissed
    ]
    copies = {(each.kind, each.record, each.copy_digest) for each in told}
    contested = {(each.kind, each.record, each.copy_digest) for each in standing if _spares(each)}
    found = {(kind, record) for kind, record, _ in copies - contested}
    missing = {each.record for each in lacking}
    held = {each.record for each in differences if each.kind != MISSING}

    def is_gone(finding: Finding) -> bool:
        match finding.kind:
            case kind if kind == ATTESTATION_OVERDUE:
                return True
            case _ if beyond or finding.revision_sequence in later:
                return False
            case kind if kind == REMOVAL_OVERDUE:
                # Of what was served under a consent its own word is asked for.
                return (
                    not finding.consent and finding.record not in held and _is_said(finding, spoken)
                )
            case kind if kind == ATTESTATION_FALSE:
                # The operator says it holds none, or the copy must be gone anyway. That it is
                # held, or held otherwise, proves nothing.
                return finding.record in missing or finding.revision_sequence in ended
            case kind:
                said = _is_said(finding, spoken)
                if _spares(finding):
                    return said and (kind, finding.record, finding.copy_digest) not in copies
                return said and (kind, finding.record) not in found

    gone: list[Finding] = []
    stay: list[Finding] = []
    waiting: list[Finding] = []
    for finding in standing:
        over = is_gone(finding)
        if finding.revision_sequence in unasked and (
            over if finding.kind in ALTERED else finding.kind == ATTESTATION_FALSE and not over
        ):
            waiting.append(finding)
            over = False
        (gone if over else stay).append(finding)
    known = {(each.kind, each.record) for each in stay if not _spares(each)}
    fresh = _without_repetition(
        each
        for each in told
        if (each.kind, each.record) not in known
        and (each.kind, each.record, each.copy_digest) not in contested
    )
    # The gravest first, should there not be room for all.
    faults = sorted(
        (each for each in fresh if each.kind != MISSING), key=lambda each: -each.severity
    )
    information = [each for each in fresh if each.kind == MISSING]
    stand = sum(each.kind != MISSING for each in stay)
    listed = faults[: max(0, MOST_LISTED - stand)]
    shown = information[: max(0, MOST_LISTED - (len(stay) - stand))]
    instead_of = {
        each.record: each
        for each in sorted([*before, *gone], key=lambda each: -each.deadline)
        if each.kind != MISSING and each.record_id
    }
    return Compared(
        gone,
        stay,
        [
            (
                each,
                _earlier(
                    instead_of.get(each.record),
                    false_before if each.kind == ATTESTATION_FALSE else None,
                ),
            )
            for each in listed
        ]
        + [(each, None) for each in shown],
        len(faults) - len(listed) + beyond,
        [each for each in waiting if each.state == OPEN],
        unasked,
    )


def truly_missing(differences: Iterable[Difference]) -> list[Difference]:
    """Return what is missing of ``differences``: who holds an altered copy instead does not
    lack one besides."""
    differences = list(differences)
    altered = {each.record for each in differences if each.kind in ALTERED}
    return [each for each in differences if each.kind == MISSING and each.record not in altered]


def _is_said(finding: Finding, spoken: Spoken) -> bool:
    """Tell whether an attestation speaks of what made a copy void: of events of other regions it
    does, by when the copies were read."""
    return finding.region != "" or spoken.of(finding.event_sequence)


def _spares(finding: Finding) -> bool:
    """Tell whether a finding counts for nothing now, and so only for the copy it is of."""
    return finding.state == CONTESTED and finding.copy_digest != b""


def _earlier(*findings: Finding | None) -> Finding | None:
    known = (each for each in findings if each is not None)
    return min(known, key=lambda each: each.deadline, default=None)


def _without_repetition(differences: Iterable[Difference]) -> list[Difference]:
    """Return differences, one of a kind and record: that of the newest revision."""
    newest: dict[tuple[int, tuple[str, str]], Difference] = {}
    for each in differences:
        key = each.kind, each.record
        if key not in newest or newest[key].revision_sequence < each.revision_sequence:
            newest[key] = each
    return list(newest.values())
