"""RFC 9396: what a token may be used for, as details of type ``public_credit_data``.

A detail only ever narrows what licence and grants allow; of several, each use lies
within one. What a detail leaves out is not narrowed by it; an empty list is refused,
since it could be meant as "nothing".
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    Strict,
    WithJsonSchema,
    model_validator,
)

from creditgate.v1.vocabulary_pb2 import Purpose
from operators import shapes
from operators.shapes import ALL_REGIONS, END_OF_TIME, common_regions, covers

TYPE: Final = "public_credit_data"
MOST_DETAILS: Final = 16
_MOST_ITEMS: Final = 64
_MOST_SUBJECTS: Final = 256
_MOST_REGIONS: Final = 64
_MOST_LOCATIONS: Final = 4
_PREFIX: Final = "PURPOSE_"
PURPOSE_NAMES: Final[Mapping[int, str]] = {
    number: name.removeprefix(_PREFIX) for name, number in Purpose.items() if number
}
"""Purposes by number of the proto enum, named as details name them."""

# The patterns say in the published schema what the checks beside them say in code.
_TEXT: Final = "^[!-~]{1,256}$"
_ITEM: Final = "^[a-z][a-z0-9.-]{0,63}$"
_USCC: Final = "^[0-9A-HJ-NP-RTUW-Y]{2}[0-9]{6}[0-9A-HJ-NP-RTUW-Y]{10}$"
_REGION: Final = r"^(\*|[0-9]{2}|[0-9]{4}|[0-9]{6})$"
_CONSENT: Final = "^consents/[A-Za-z0-9._~-]{1,100}$"


def _purpose(name: str) -> str:
    if name not in PURPOSE_NAMES.values():
        raise ValueError("use one of " + ", ".join(PURPOSE_NAMES.values()))
    return name


def _each_once(values: object) -> object:
    if isinstance(values, list):
        texts = [value for value in values if isinstance(value, str)]
        if len(set(texts)) < len(texts):
            raise ValueError("name each value once")
    return values


def given(value: object) -> object:
    """Refuse null for what may be left out. Raises ValueError."""
    if value is None:
        raise ValueError("give it, or leave it out")
    return value


EACH_ONCE: Final = BeforeValidator(_each_once)
# Sets are written in order, so that equal details make equal JSON.
_IN_ORDER: Final = PlainSerializer(sorted)
_Location = Annotated[
    str,
    AfterValidator(shapes.matching("[!-~]{1,256}", "use 1 to 256 visible ASCII characters")),
    WithJsonSchema({"type": "string", "pattern": _TEXT}),
]
_ItemCode = Annotated[
    str,
    AfterValidator(shapes.item_code),
    WithJsonSchema({"type": "string", "pattern": _ITEM}),
]
_Subject = Annotated[
    str,
    AfterValidator(shapes.credit_code),
    WithJsonSchema({"type": "string", "pattern": _USCC}),
]
_PurposeName = Annotated[
    str,
    AfterValidator(_purpose),
    WithJsonSchema({"type": "string", "enum": list(PURPOSE_NAMES.values())}),
]
_Region = Annotated[
    str,
    AfterValidator(shapes.region_code),
    WithJsonSchema({"type": "string", "pattern": _REGION}),
]
_Consent = Annotated[
    str,
    AfterValidator(shapes.matching("consents/[A-Za-z0-9._~-]{1,100}", "write it as consents/{id}")),
]
_Instant = Annotated[int, Strict(), Field(ge=0, le=END_OF_TIME)]


class DetailPeriod(BaseModel):
    """When a detail may be used: [from, until), seconds since 1970 (UTC).

    Numbers, as the times of the token it stands in are (RFC 7519 NumericDate).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: _Instant = Field(default=0, alias="from", description="First second inside it.")
    until: _Instant = Field(default=END_OF_TIME, description="First second after it.")

    @model_validator(mode="after")
    def _has_length(self) -> Self:
        if self.until <= self.start:
            raise ValueError("until must come after from")
        return self


_ALWAYS: Final = DetailPeriod()


class AuthorizationDetail(BaseModel):
    """One use of public credit data that a token allows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["public_credit_data"]
    locations: Annotated[frozenset[_Location], EACH_ONCE, _IN_ORDER] = Field(
        default_factory=frozenset[str],
        min_length=1,
        max_length=_MOST_LOCATIONS,
        description="Resource servers it is for: the audience of the gateway's tokens.",
    )
    items: Annotated[frozenset[_ItemCode], EACH_ONCE, _IN_ORDER] = Field(
        default_factory=frozenset[str],
        min_length=1,
        max_length=_MOST_ITEMS,
        description="Codes of catalogue items; left out: all that the licence allows.",
    )
    subjects: Annotated[frozenset[_Subject], EACH_ONCE, _IN_ORDER] = Field(
        default_factory=frozenset[str],
        min_length=1,
        max_length=_MOST_SUBJECTS,
        description="Unified social credit codes (GB 32100-2015); left out: any subject.",
    )
    purposes: Annotated[frozenset[_PurposeName], EACH_ONCE, _IN_ORDER] = Field(
        default_factory=frozenset[str],
        min_length=1,
        description="Purposes, named as in the enum Purpose without PURPOSE_; left out: all"
        " that the licence allows.",
    )
    regions: Annotated[frozenset[_Region], EACH_ONCE, _IN_ORDER] = Field(
        default_factory=frozenset[str],
        min_length=1,
        max_length=_MOST_REGIONS,
        description="Administrative division codes of 2, 4 or 6 digits (GB/T 2260), each"
        ' with all below it, or "*"; left out: all that the licence allows.',
    )
    period: DetailPeriod = Field(
        default_factory=DetailPeriod,
        description="When it may be used; left out: as long as the token.",
    )
    consent: Annotated[
        _Consent | None,
        BeforeValidator(given),
        WithJsonSchema({"type": "string", "pattern": _CONSENT}),
    ] = Field(
        # A plain default would be published, as a null that nobody may send.
        default_factory=lambda: None,
        description="The consent that each use must name; left out: any or none.",
    )

    def covers_subject(self, subject: str) -> bool:
        """Tell whether ``subject`` may be asked about."""
        return not self.subjects or subject in self.subjects

    def covers_purpose(self, purpose: int) -> bool:
        """Tell whether ``purpose``, a number of the proto enum, is among the purposes."""
        return not self.purposes or PURPOSE_NAMES.get(purpose) in self.purposes

    def in_force(self, now: int) -> bool:
        """Tell whether it may be used at ``now`` (seconds, UTC)."""
        return self.period.start <= now < self.period.until

    def next_boundary(self, now: int, until: int) -> int:
        """Return the first instant after ``now`` at which its period starts or ends.

        ``until`` where that comes sooner. In seconds, UTC.
        """
        bounds = (self.period.start, self.period.until, until)
        return min((at for at in bounds if at > now), default=until)

    def as_json(self) -> dict[str, Any]:
        """Return it as it stands in tokens and answers, without what it leaves out."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)


Details = Annotated[
    tuple[AuthorizationDetail, ...], Strict(strict=False), Field(max_length=MOST_DETAILS)
]
"""Details as a model reads them from JSON values."""


def narrows(asked: AuthorizationDetail, held: AuthorizationDetail) -> bool:
    """Tell whether all that ``asked`` allows, ``held`` allows too."""
    return wider_field(asked, held) is None


def wider_field(asked: AuthorizationDetail, held: AuthorizationDetail) -> str | None:
    """Return the first field in which ``asked`` allows what ``held`` does not; None: none."""
    for field in ("locations", "items", "subjects", "purposes"):
        own: frozenset[str] = getattr(asked, field)
        bound: frozenset[str] = getattr(held, field)
        if bound and not (own and own <= bound):
            return field
    places = held.regions or {ALL_REGIONS}
    if not all(covers(places, code) for code in asked.regions or {ALL_REGIONS}):
        return "regions"
    if not (held.period.start <= asked.period.start and asked.period.until <= held.period.until):
        return "period"
    return "consent" if held.consent not in (None, asked.consent) else None


def intersection(
    first: AuthorizationDetail, second: AuthorizationDetail
) -> AuthorizationDetail | None:
    """Return what both allow; None when that is nothing, or more regions than one may name."""
    fields: dict[str, Any] = {}
    for field in ("locations", "items", "subjects", "purposes"):
        one: frozenset[str] = getattr(first, field)
        other: frozenset[str] = getattr(second, field)
        if one and other and not one & other:
            return None
        fields[field] = one & other if one and other else one or other
    if first.regions and second.regions:
        fields["regions"] = common_regions(first.regions, second.regions)
        if not 0 < len(fields["regions"]) <= _MOST_REGIONS:
            return None
    else:
        fields["regions"] = first.regions or second.regions
    start = max(first.period.start, second.period.start)
    until = min(first.period.until, second.period.until)
    if until <= start or (first.consent and second.consent not in (None, first.consent)):
        return None
    return first.model_copy(
        update={
            **fields,
            "period": DetailPeriod.model_validate({"from": start, "until": until}),
            "consent": first.consent or second.consent,
        }
    )
