"""Shares: sharing rules, and the exact division of a fee among its beneficiaries.

Source: Opinions on improving the social credit system (2025-03-31), article 9 (the
value of authorised operation is shared fairly with those who produce the data).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.settle.timeline import Timeline
from operators.log import Change
from operators.shapes import END_OF_TIME

SHARING_RULE: Final = "sharing_rule"
WHOLE: Final = 10_000
PLATFORM: Final = "platform"

BasisPoints = Annotated[int, Field(ge=0, le=WHOLE)]


class Share(NamedTuple):
    """One beneficiary's part of a fee, in micro-yuan.

    ``beneficiary`` is "sources/{source}", "regions/{region}" or "platform".
    """

    beneficiary: str
    amount: int


class SharingRule(BaseModel):
    """How fees of use from ``effective_from`` (seconds, UTC) on are shared.

    Parts are per ten thousand and sum to 10,000.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    rule_id: str
    effective_from: Annotated[int, Field(ge=0, le=END_OF_TIME)]
    source_basis_points: BasisPoints
    region_basis_points: BasisPoints
    platform_basis_points: BasisPoints

    @model_validator(mode="after")
    def _parts_are_the_whole(self) -> Self:
        if sum(self.parts) != WHOLE:
            raise ValueError("the parts must sum to 10,000")
        return self

    @property
    def id(self) -> str:
        """Its id in the authority log."""
        return self.rule_id

    @property
    def parts(self) -> tuple[int, int, int]:
        """Parts of source, region and platform."""
        return self.source_basis_points, self.region_basis_points, self.platform_basis_points


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

    def starts(self, from_: int, until: int) -> tuple[int, ...]:
        """Return where [from_, until) falls into parts that each have one rule throughout.

        The first is ``from_``; each part lasts until the next start, the last until
        ``until``.
        """
        return from_, *self.rules.starts_between(from_, until)


def divide(amount: int, parts: Sequence[int]) -> tuple[int, ...]:
    """Divide ``amount`` in proportion to ``parts``, exactly, by largest remainder.

    Both are non-negative, and some part is positive. Equal remainders are served in
    the order of the parts; the results sum to ``amount`` (guarantee G6).
    """
    whole = sum(parts)
    amounts = [amount * part // whole for part in parts]
    left = amount - sum(amounts)
    by_remainder = sorted(range(len(parts)), key=lambda i: -(amount * parts[i] % whole))
    for index in by_remainder[:left]:
        amounts[index] += 1
    return tuple(amounts)


def share(fee: int, rule: SharingRule, source: str, region: str) -> tuple[Share, Share, Share]:
    """Return the shares of source, region and platform in a fee of micro-yuan, which they sum to."""
    to_source, to_region, to_platform = divide(fee, rule.parts)
    return (
        Share(f"sources/{source}", to_source),
        Share(f"regions/{region}", to_region),
        Share(PLATFORM, to_platform),
    )
