"""The enforcement policy: deadlines, stages, sampling. Pure; `policy_file` reads it.

Source: Opinions on improving the social credit system (2025-03-31), articles 8, 9, 13.
"""

import math
from datetime import timedelta
from typing import Annotated, Final, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from creditgate.v1.conformance_service_pb2 import EnforcementStage, FindingKind
from creditgate.v1.vocabulary_pb2 import Severity

_KIND: Final = "FINDING_KIND_"
_STAGE: Final = "ENFORCEMENT_STAGE_"

KindName = Literal[
    "CONTENT_ALTERED",
    "PERIOD_ALTERED",
    "EXPIRED_HELD",
    "CORRECTED_HELD",
    "REPAIRED_HELD",
    "WITHDRAWN_HELD",
    "NEVER_SERVED",
    "CONSENT_LIFE_OVER",
    "REMOVAL_OVERDUE",
    "ATTESTATION_FALSE",
    "ATTESTATION_OVERDUE",
]
_StageName = Literal["WARNED", "RECTIFY", "THROTTLED", "SUSPENDED"]
_Life = Annotated[timedelta, Field(ge=timedelta(seconds=1), le=timedelta(days=366))]
_Wait = Annotated[timedelta, Field(ge=timedelta(0), le=timedelta(days=1))]
_FileAge = Annotated[timedelta, Field(ge=timedelta(0), le=timedelta(hours=1))]
_Share = Annotated[float, Field(gt=0, lt=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BySeverity(_Part):
    """A duration for each grade of a record."""

    NONE: _Life
    MINOR: _Life
    GENERAL: _Life
    SERIOUS: _Life

    def seconds(self, severity: int) -> int:
        """Return the duration of a Severity, in seconds; the shortest for one not known."""
        match severity:
            case Severity.SEVERITY_UNSPECIFIED:
                life = self.NONE
            case Severity.SEVERITY_MINOR:
                life = self.MINOR
            case Severity.SEVERITY_GENERAL:
                life = self.GENERAL
            case Severity.SEVERITY_SERIOUS:
                life = self.SERIOUS
            case _:
                life = min(self.NONE, self.MINOR, self.GENERAL, self.SERIOUS)
        return _whole(life)


class KindRule(_Part):
    """The stages a finding of one kind goes through, from ``first`` to ``last``."""

    first: _StageName
    last: _StageName

    @model_validator(mode="after")
    def _runs_forward(self) -> Self:
        if _stage(self.last) < _stage(self.first):
            raise ValueError("last must not come before first")
        return self

    @property
    def first_stage(self) -> EnforcementStage.ValueType:
        """The stage it begins with."""
        return _stage(self.first)

    @property
    def last_stage(self) -> EnforcementStage.ValueType:
        """The stage it never passes."""
        return _stage(self.last)


class Sampling(_Part):
    """How many copies are asked for after an attestation, and by when they must be shown.

    An operator that lies about ``lied_share`` of its copies is caught with probability
    ``caught``, unless ``most`` cuts the sample; docs/conformance.md has the mathematics.
    A certificate counts for nothing while copies drawn for it are not shown, once they were
    asked for longer than ``unshown`` ago, nor where more than ``refreshed_share`` of those
    shown were served again first.
    """

    lied_share: Annotated[float, Field(ge=1e-6, lt=1)]
    caught: _Share
    most: Annotated[int, Field(ge=1, le=1_000)]
    answer: _Life
    unshown: _Life = timedelta(hours=1)
    refreshed_share: Annotated[float, Field(ge=0, lt=1)] = 0.02

    @model_validator(mode="after")
    def _is_unshown_in_time(self) -> Self:
        if "unshown" in self.model_fields_set and self.unshown > self.answer:
            raise ValueError("unshown must not be longer than answer")
        return self

    def copies(self, held: int) -> int:
        """Return how many of ``held`` copies are asked for.

        Drawn without replacement, at least as many are caught as with: then one draw misses
        with probability 1 - lied_share.
        """
        wanted = math.ceil(math.log1p(-self.caught) / math.log1p(-self.lied_share))
        return min(held, wanted, self.most)


class Outages(_Part):
    """What counts as an outage: the gateway was not up for ``silence``. After one operators have
    ``grace`` at the least."""

    silence: Annotated[timedelta, Field(ge=timedelta(minutes=2), le=timedelta(days=366))]
    grace: _Wait


class ConformancePolicy(_Part):
    """What follows from findings, and how copies are checked; see policy.yaml."""

    removal: BySeverity
    rectify: BySeverity
    warned: _Life
    throttled: _Life
    kinds: dict[KindName, KindRule]
    throttled_subjects_per_minute: Annotated[int, Field(ge=1, le=1_000_000)]
    attestation: _Life
    attestation_spacing: _Wait
    file_age: _FileAge = timedelta(minutes=15)
    false_attestation: _Life
    repeated_false: _Life = timedelta(days=30)
    certificate: _Life
    sampling: Sampling
    outages: Outages = Outages(silence=timedelta(minutes=5), grace=timedelta(hours=4))

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        missing = sorted(set(get_args(KindName)) - self.kinds.keys())
        if missing:
            raise ValueError("kinds: give a rule for " + ", ".join(missing))
        return self

    def removal_seconds(self, severity: int) -> int:
        """Return how long after its event a void copy must be gone, by Severity."""
        return self.removal.seconds(severity)

    def rectify_seconds(self, severity: int) -> int:
        """Return how long after it was found a finding must be rectified, by Severity."""
        return self.rectify.seconds(severity)

    @property
    def warned_seconds(self) -> int:
        """How long a warning is one, before it is a demand to rectify."""
        return _whole(self.warned)

    @property
    def throttled_seconds(self) -> int:
        """How long a rate is cut before the operator is suspended."""
        return _whole(self.throttled)

    @property
    def attestation_seconds(self) -> int:
        """How long after an attestation the next one is due."""
        return _whole(self.attestation)

    @property
    def spacing_seconds(self) -> int:
        """How long after an attestation the next is refused; 0 where it never is."""
        return int(self.attestation_spacing.total_seconds())

    @property
    def file_age_seconds(self) -> int:
        """How long a void copy that was read before its event is excused, whatever its deadline;
        0 where it is not."""
        return int(self.file_age.total_seconds())

    @property
    def false_seconds(self) -> int:
        """How long after a false attestation is rectified its stage stays."""
        return _whole(self.false_attestation)

    @property
    def repeated_seconds(self) -> int:
        """How long after a false attestation is rectified the time of another one counts from
        it."""
        return _whole(self.repeated_false)

    @property
    def unshown_seconds(self) -> int:
        """How long a copy may be asked for and not shown before certificates count for
        nothing."""
        return _whole(self.sampling.unshown)

    @property
    def certificate_seconds(self) -> int:
        """How long a certificate is good."""
        return _whole(self.certificate)

    @property
    def silence_seconds(self) -> int:
        """How long the gateway is not up until that is an outage."""
        return _whole(self.outages.silence)

    @property
    def grace_seconds(self) -> int:
        """How long after an outage operators have at the least; 0 where they may have none."""
        return int(self.outages.grace.total_seconds())

    @property
    def answer_seconds(self) -> int:
        """How long an operator has to show a copy it is asked for."""
        return _whole(self.sampling.answer)

    def rule(self, kind: int) -> KindRule | None:
        """Return the rule of a FindingKind; None for what entails nothing."""
        name = FindingKind.Name(FindingKind.ValueType(kind)).removeprefix(_KIND)
        return next((rule for known, rule in self.kinds.items() if known == name), None)


def _stage(name: str) -> EnforcementStage.ValueType:
    return EnforcementStage.Value(_STAGE + name)


def _whole(life: timedelta) -> int:
    return max(1, int(life.total_seconds()))
