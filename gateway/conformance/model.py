"""What operators attested, what was found, and what it entails. Times are seconds, UTC."""

from typing import Final, NamedTuple

from consent.model import NAME_PREFIX
from creditgate.v1.conformance_service_pb2 import EnforcementStage, FindingKind, FindingState

OPEN: Final = FindingState.FINDING_STATE_OPEN
CONTESTED: Final = FindingState.FINDING_STATE_CONTESTED
RECTIFIED: Final = FindingState.FINDING_STATE_RECTIFIED
DISMISSED: Final = FindingState.FINDING_STATE_DISMISSED

MISSING: Final = FindingKind.FINDING_KIND_MISSING
REMOVAL_OVERDUE: Final = FindingKind.FINDING_KIND_REMOVAL_OVERDUE
ATTESTATION_FALSE: Final = FindingKind.FINDING_KIND_ATTESTATION_FALSE
ATTESTATION_OVERDUE: Final = FindingKind.FINDING_KIND_ATTESTATION_OVERDUE

Stage = EnforcementStage.ValueType
NONE: Final = EnforcementStage.ENFORCEMENT_STAGE_UNSPECIFIED
WARNED: Final = EnforcementStage.ENFORCEMENT_STAGE_WARNED
RECTIFY: Final = EnforcementStage.ENFORCEMENT_STAGE_RECTIFY
THROTTLED: Final = EnforcementStage.ENFORCEMENT_STAGE_THROTTLED
SUSPENDED: Final = EnforcementStage.ENFORCEMENT_STAGE_SUSPENDED


class Difference(NamedTuple):
    """One difference between what an operator attested and the disclosure.

    ``kind`` is a FindingKind, ``severity`` a Severity. ``held_digest`` is SHA-256 of the
    content held, b"" where none is; ``event_sequence`` the event that made the copy void, 0
    where none did; ``revision_sequence`` the revision it is a copy of, 0 where it is of none, or
    is missing and was cut by a consent. ``copy_digest`` is `facts.copy_digest` of the copy held,
    b"" where none is. ``region`` is the other region whose record it is, and whose event, "" for
    this one's.
    """

    kind: int
    record_id: str
    severity: int
    held_digest: bytes
    event_sequence: int
    revision_sequence: int
    copy_digest: bytes = b""
    region: str = ""

    @property
    def record(self) -> tuple[str, str]:
        """The record, by region and id: regions name records each by itself."""
        return self.region, self.record_id


class Attestation(NamedTuple):
    """What an operator attested once; ``number`` counts its attestations from 1.

    ``standing`` are the findings that stood then, `MISSING` not counted. ``certificate`` is a
    JWS in compact form, "" where none was given, good until ``certificate_until``.
    ``disclosure_sequence`` is as of which the copies are attested to be right, ``compared`` the
    position they were compared with: later, where something void is not held against the operator
    yet. ``opening`` is the digest of what it was opened with, ``read_at`` when the copies were read;
    None where that is not known. ``waiting`` are those of ``standing`` that wait only for the gateway
    to ask for the right copies that are attested.
    """

    attestation_id: str
    operator_id: str
    number: int
    request_id: str
    client_id: str
    copies: int
    disclosure_sequence: int
    opened: int
    rectified: int
    standing: int
    at: int
    certificate: str
    certificate_until: int
    compared: int
    opening: bytes | None
    read_at: int | None = None
    waiting: int = 0


class Finding(NamedTuple):
    """One finding as it is kept.

    ``counted_from`` and ``deadline`` are what its stage follows from; 0 for `MISSING`, which
    has none. ``pardoned``: an administrator has lifted the suspension it led to. Of a contest
    the times are 0 while they have not come. ``record_id`` is "consents/{id}" where the removal
    of what was served under an ended consent is overdue, "" for an overdue attestation.
    ``region`` as in `Difference`. ``waits_since`` is since when a right copy is attested instead that the
    gateway has not asked for yet, 0 where it is none: that time counts for nothing, and
    ``counted_from`` and ``deadline`` are later by it once it is over.
    """

    finding_id: str
    operator_id: str
    record_id: str
    kind: int
    state: int
    severity: int
    held_digest: bytes
    event_sequence: int
    revision_sequence: int
    copy_digest: bytes
    attestation_id: str
    detected_at: int
    counted_from: int
    deadline: int
    closed_at: int
    pardoned: bool
    contest_statement: str
    evidence_digest: bytes
    contested_at: int
    decided_at: int
    decided_by: str
    decision_reason: str
    region: str
    waits_since: int = 0

    @property
    def record(self) -> tuple[str, str]:
        """The record, by region and id."""
        return self.region, self.record_id

    def resumed(self, now: int) -> "Finding":
        """Return it as one that waits no longer at ``now`` (seconds, UTC)."""
        if not self.waits_since:
            return self
        waited = max(0, now - self.waits_since)
        return self._replace(
            counted_from=self.counted_from + waited,
            deadline=self.deadline + waited,
            waits_since=0,
        )

    @property
    def consent(self) -> str:
        """The consent it is about, "consents/{id}"; "" for all others."""
        return self.record_id if self.record_id.startswith(NAME_PREFIX) else ""


class Challenge(NamedTuple):
    """One copy the gateway wants to see; ``copy_digest`` is `facts.copy_digest` of it,
    ``answers`` the position in the ledger as of which it was asked for: a later answer may
    be where the operator has it from. By ``show_by`` it must be shown for certificates to count,
    None where that was not kept."""

    challenge_id: str
    operator_id: str
    record_id: str
    revision_sequence: int
    copy_digest: bytes
    severity: int
    attestation_id: str
    issued_at: int
    deadline: int
    answers: int
    show_by: int | None = None


class StageChange(NamedTuple):
    """A change of an operator's stage, with the findings that stood then."""

    stage: int
    at: int
    standing: int


class Standing(NamedTuple):
    """How an operator stands, as it was last settled; 0 for an instant that is not known.

    ``attestation_due`` is by when it must attest again; ``challenged`` and ``confirmed`` count
    copies asked for, and shown right in time, since the beginning; ``refreshed`` those shown
    right that the operator was served again after they were asked for.
    """

    operator_id: str
    stage: int
    since: int
    attestation_due: int
    challenged: int
    confirmed: int
    refreshed: int
