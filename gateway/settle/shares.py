"""Shares: sharing rules, and the exact division of a fee among its beneficiaries.

Source: Opinions on improving the social credit system (2025-03-31), article 9 (the
value of authorised operation is shared fairly with those who produce the data).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from creditgate.rating.components import OperatorClasses
from creditgate.rating.timeline import Timeline
from creditgate.v1.settlement_service_pb2 import SourceDivision
from operators import shapes
from operators.log import Change
from operators.shapes import END_OF_TIME

SHARING_RULE: Final = "sharing_rule"
WHOLE: Final = 10_000
PLATFORM: Final = "platform"
OWN: Final = SourceDivision.SOURCE_DIVISION_OWN
BY_USE: Final = SourceDivision.SOURCE_DIVISION_BY_USE
BY_CONTRIBUTION: Final = SourceDivision.SOURCE_DIVISION_BY_CONTRIBUTION

_REGIONS: Final = "regions/"

BasisPoints = Annotated[int, Field(ge=0, le=WHOLE)]


class Share(NamedTuple):
    """One beneficiary's part of a fee, in micro-yuan.

    ``beneficiary`` is "sources/{source}", "regions/{region}", "platform" or
    "operators/{operator_id}". The region is a code of GB/T 2260, or the entity identifier of
    another region of the federation that is owed for its records; see `peer_share`.
    """

    beneficiary: str
    amount: int


def peer_share(entity_id: str) -> str:
    """Return the beneficiary that another region of the federation is, by its entity identifier."""
    return _REGIONS + entity_id


def peer_of(beneficiary: str) -> str:
    """Return which other region of the federation a beneficiary is, "" for any other."""
    name = beneficiary.removeprefix(_REGIONS)
    return name if beneficiary.startswith(_REGIONS) and "://" in name else ""


class SharingRule(BaseModel):
    """How fees of use from ``effective_from`` (seconds, UTC) on are shared.

    Parts are per ten thousand and sum to 10,000. The operator's is given back to those of
    ``rebate_operator_classes`` (empty: all); of others the platform gets it.
    ``source_division`` is a SourceDivision; ``completeness_basis_points`` goes with
    division by contribution, see `gateway.settle.shapley`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    rule_id: str
    effective_from: Annotated[int, Field(ge=0, le=END_OF_TIME)]
    source_basis_points: BasisPoints
    region_basis_points: BasisPoints
    platform_basis_points: BasisPoints
    operator_basis_points: BasisPoints = 0
    rebate_operator_classes: Annotated[OperatorClasses, Field(strict=False)] = frozenset()
    source_division: Annotated[
        SourceDivision.ValueType, AfterValidator(shapes.stated(SourceDivision))
    ] = SourceDivision.SOURCE_DIVISION_OWN
    completeness_basis_points: BasisPoints = 0

    @model_validator(mode="after")
    def _parts_are_the_whole(self) -> Self:
        if sum(self.parts) != WHOLE:
            raise ValueError("the parts must sum to 10,000")
        if self.completeness_basis_points and self.source_division != BY_CONTRIBUTION:
            raise ValueError("completeness goes with division by contribution")
        if self.rebate_operator_classes and not self.operator_basis_points:
            raise ValueError("name operator classes only where operators are given a part back")
        return self

    @property
    def id(self) -> str:
        """Its id in the authority log."""
        return self.rule_id

    @property
    def parts(self) -> tuple[int, int, int, int]:
        """Parts of source, region, platform and operator."""
        return (
            self.source_basis_points,
            self.region_basis_points,
            self.platform_basis_points,
            self.operator_basis_points,
        )

    def gives_back(self, operator_class: str) -> bool:
        """Tell whether operators of a class ("" for none) get the operator's part."""
        return not self.rebate_operator_classes or operator_class in self.rebate_operator_classes


@dataclass(frozen=True, slots=True, eq=False)
class SharingBook:
    """Every sharing rule. It never changes; `advanced` makes the next one."""

    rules: Timeline[SharingRule] = field(default_factory=Timeline[SharingRule])

    @classmethod
    def empty(cls) -> "SharingBook":
        """Return the book before the first rule."""
        return cls()

    def advanced(self, changes: Sequence[Change]) -> "SharingBook":
        """Return the book after ``changes``, passing over other kinds.

        Raises pydantic.ValidationError for a rule this version does not understand.
        """
        rules = self.rules.advanced(changes, SHARING_RULE, SharingRule.model_validate)
        return self if rules is self.rules else SharingBook(rules)

    def rule_at(self, at: int) -> SharingRule | None:
        """Return the rule for use at ``at``; None before the first."""
        return self.rules.at(at)
