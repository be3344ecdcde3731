"""Mutual recognition (互认): what documents of other regions stand for here. Pure.

Mapping tables, one for each region; profiles of what may go to another country, one for each;
and transfers, each of one document, that two people have approved. All stand in the authority
log, each change as another version.
Source: Opinions on improving the social credit system (2025-03-31), article 9 (mutual
recognition); Personal Information Protection Law, chapter III, and the Data Security Law,
article 31, for what leaves the country.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from creditgate.v1.vocabulary_pb2 import Purpose
from operators import shapes
from operators.kept import Kept
from operators.model import IN_ORDER, Instant
from operators.regions import EntityId, region_client_id

RECOGNITION_RULE: Final = "recognition_rule"
CROSS_BORDER_PROFILE: Final = "cross_border_profile"
CROSS_BORDER_TRANSFER: Final = "cross_border_transfer"

MOST_ITEMS: Final = 1_000
MOST_GRADES: Final = 100
LEAST_LIFE_SECONDS: Final = 60
MOST_LIFE_SECONDS: Final = 366 * 86_400
MOST_TRANSFER_SECONDS: Final = 30 * 86_400
"""How far ahead an approval of a transfer may end."""

_ItemCode = Annotated[str, AfterValidator(shapes.item_code)]
_Grade = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^\S(.*\S)?$")]
_Purposes = Annotated[
    frozenset[Annotated[int, AfterValidator(shapes.stated(Purpose))]],
    Field(min_length=1),
    IN_ORDER,
]
_Destination = Annotated[
    str,
    AfterValidator(shapes.matching("[A-Z]{2}", 'use an ISO 3166-1 alpha-2 code such as "HK"')),
]


class MappedGrades(BaseModel):
    """What an item of the region is recognised as.

    ``grade_field`` is the field of its content that holds the grade, "" for items without;
    ``grades`` tell what each grade stands for here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    item: _ItemCode
    grade_field: Annotated[str, StringConstraints(pattern=r"^([a-z][a-z0-9_]{0,63})?$")] = ""
    grades: Annotated[Mapping[_Grade, _Grade], Field(max_length=MOST_GRADES)] = Field(
        default_factory=dict
    )

    @model_validator(mode="after")
    def _grades_have_their_field(self) -> "MappedGrades":
        if bool(self.grade_field) != bool(self.grades):
            raise ValueError("give grade_field and grades together")
        return self


class RecognitionRule(Kept):
    """The mapping table of one region: ``items`` by the region's codes.

    A document is recognised for ``purposes`` until ``longest_seconds`` after it was issued.
    """

    region: EntityId
    items: Annotated[Mapping[_ItemCode, MappedGrades], Field(min_length=1, max_length=MOST_ITEMS)]
    purposes: _Purposes
    longest_seconds: Annotated[int, Field(ge=LEAST_LIFE_SECONDS, le=MOST_LIFE_SECONDS)]
    retired: bool = False

    @property
    def id(self) -> str:
        """Its id in the authority log."""
        return region_client_id(self.region)


class CrossBorderProfile(Kept):
    """The items, by the codes of this gateway, and purposes that alone are recognised for use
    in another country."""

    destination: _Destination
    items: Annotated[frozenset[_ItemCode], Field(min_length=1, max_length=MOST_ITEMS), IN_ORDER]
    purposes: _Purposes
    retired: bool = False


class CrossBorderTransfer(Kept):
    """That one document of an operator may be recognised for use in another country; whoever
    reads it finds it approved: it is written by approval alone."""

    transfer_id: Annotated[str, AfterValidator(shapes.licence_number)]
    operator_id: Annotated[str, AfterValidator(shapes.operator_id)]
    document_digest: Annotated[
        str,
        AfterValidator(shapes.matching("[0-9a-f]{64}", "use the SHA-256 in 64 hexadecimal digits")),
    ]
    destination: _Destination
    purpose: Annotated[int, AfterValidator(shapes.stated(Purpose))]
    recipient: Annotated[str, AfterValidator(shapes.display_name)]
    expires_at: Instant


@dataclass(frozen=True, slots=True, eq=False)
class Recognitions:
    """All of it, by id. Immutable; `advanced` makes the next one."""

    rules: Mapping[str, RecognitionRule] = field(default_factory=dict[str, RecognitionRule])
    profiles: Mapping[str, CrossBorderProfile] = field(
        default_factory=dict[str, CrossBorderProfile]
    )
    transfers: Mapping[str, CrossBorderTransfer] = field(
        default_factory=dict[str, CrossBorderTransfer]
    )

    def advanced(
        self,
        rules: Mapping[str, RecognitionRule],
        profiles: Mapping[str, CrossBorderProfile],
        transfers: Mapping[str, CrossBorderTransfer],
    ) -> "Recognitions":
        """Return the state with the newer versions given, itself where there are none."""
        if not (rules or profiles or transfers):
            return self
        return Recognitions(
            {**self.rules, **rules},
            {**self.profiles, **profiles},
            {**self.transfers, **transfers},
        )

    def rule(self, region: str) -> RecognitionRule | None:
        """Return the mapping table of a region that is in force, None where there is none."""
        rule = self.rules.get(region_client_id(region))
        return None if rule is None or rule.retired else rule
