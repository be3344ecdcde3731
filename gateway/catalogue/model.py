"""Catalogue items as the authority log keeps them, and the book of all of them.

Source: Opinions on improving the social credit system (2025-03-31), article 6
(catalogue management, severity grading).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    model_serializer,
    model_validator,
)

from creditgate.v1.catalogue_service_pb2 import ContentFieldType
from creditgate.v1.vocabulary_pb2 import Openness, Severity, SubjectType
from operators import shapes
from operators.kept import Kept
from operators.log import Change

CATALOGUE_ITEM: Final = "catalogue_item"
_MOST_MONTHS: Final = 1_200
_MOST_CHARACTERS: Final = 65_536

# A word or a 1 where a number or true belongs is no other way to write it.
_Flag = Annotated[bool, Field(strict=True)]
_Months = Annotated[int, Field(ge=0, le=_MOST_MONTHS, strict=True)]
_Name = Annotated[str, AfterValidator(shapes.display_name)]


def _title(text: str) -> str:
    return shapes.display_name(text) if text else ""


_Title = Annotated[str, AfterValidator(_title)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ContentField(_Part):
    """A field content may have. ``type`` is a ContentFieldType; ``max_length`` in
    characters, for strings only. ``result`` marks what is the result itself, as an
    evaluation's grade: all that a consent of answer form GRADE opens. ``title_zh`` and
    ``title_en`` are what subjects are told it is, both "" where it has none."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    type: Annotated[ContentFieldType.ValueType, AfterValidator(shapes.stated(ContentFieldType))]
    required: _Flag = False
    max_length: Annotated[int, Field(ge=0, le=_MOST_CHARACTERS, strict=True)] = 0
    result: _Flag = False
    title_zh: _Title = ""
    title_en: _Title = ""

    @model_validator(mode="after")
    def _is_titled_in_both_languages(self) -> Self:
        if bool(self.title_zh) != bool(self.title_en):
            raise ValueError("give title_zh and title_en, or neither")
        return self

    @model_serializer(mode="wrap")
    def _without_what_it_has_not(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Versions from before there were titles read what has none.
        document: dict[str, Any] = serialize(self)
        return {
            name: value
            for name, value in document.items()
            if value or name not in {"title_zh", "title_en"}
        }

    @model_validator(mode="after")
    def _length_is_for_strings(self) -> Self:
        is_string = self.type == ContentFieldType.CONTENT_FIELD_TYPE_STRING
        if is_string != bool(self.max_length):
            raise ValueError("give max_length for strings, and for nothing else")
        return self


class PeriodRule(_Part):
    """Bounds of a disclosure period in calendar months; 0 means no bound.

    ``severity`` is a Severity, 0 where the item has no grades.
    """

    severity: Annotated[Severity.ValueType, AfterValidator(shapes.known(Severity))] = (
        Severity.SEVERITY_UNSPECIFIED
    )
    min_months: _Months = 0
    max_months: _Months = 0
    end_required: _Flag = False
    legal_source: Annotated[str, StringConstraints(min_length=1, max_length=500)]

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> Self:
        if self.max_months and self.min_months > self.max_months:
            raise ValueError("max_months must not be less than min_months")
        if self.max_months and not self.end_required:
            raise ValueError("a longest period needs end_required")
        return self


class CatalogueItem(Kept):
    """One kind of public credit information (目录项).

    ``openness`` is an Openness, ``subject_types`` are SubjectTypes; ``sources`` are the
    departments that may supply it; ``price_class`` is the key into price plans.
    """

    code: Annotated[str, AfterValidator(shapes.item_code)]
    name_zh: _Name
    name_en: _Name
    sources: Annotated[tuple[_Name, ...], Field(min_length=1, max_length=1_000)]
    subject_types: Annotated[
        tuple[Annotated[SubjectType.ValueType, AfterValidator(shapes.stated(SubjectType))], ...],
        Field(min_length=1),
    ]
    openness: Annotated[Openness.ValueType, AfterValidator(shapes.stated(Openness))]
    period_rules: Annotated[tuple[PeriodRule, ...], Field(min_length=1)]
    price_class: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    content_fields: Annotated[tuple[ContentField, ...], Field(min_length=1, max_length=200)]

    @model_validator(mode="after")
    def _parts_are_told_apart(self) -> Self:
        for what, names in (
            ("source", self.sources),
            ("subject type", self.subject_types),
            ("severity", [rule.severity for rule in self.period_rules]),
            ("content field", [field.name for field in self.content_fields]),
        ):
            if len(set(names)) != len(names):
                raise ValueError(f"name each {what} once")
        if len(self.period_rules) > 1 and not all(rule.severity for rule in self.period_rules):
            raise ValueError("with several period rules each must name its severity")
        return self

    @property
    def graded(self) -> bool:
        """Whether its records carry a severity."""
        return bool(self.period_rules[0].severity)


class CatalogueBook(Mapping[str, CatalogueItem]):
    """Every item by code. Immutable; `advanced` makes the next one.

    ``ever_declared`` are the names of the content fields of every version of each item.
    """

    __slots__ = ("_ever_declared", "_items")

    def __init__(
        self,
        items: Mapping[str, CatalogueItem],
        ever_declared: Mapping[str, frozenset[str]],
    ) -> None:
        self._items = items
        self._ever_declared = ever_declared

    @classmethod
    def empty(cls) -> "CatalogueBook":
        """Return the book before the first item."""
        return cls({}, {})

    def advanced(self, changes: Sequence[Change]) -> "CatalogueBook":
        """Return the book after ``changes``; those of other kinds are passed over.

        Raises pydantic.ValidationError for an item this version does not understand.
        """
        news: dict[str, CatalogueItem] = {}
        declared: dict[str, frozenset[str]] = {}
        for change in changes:
            if change.kind != CATALOGUE_ITEM:
                continue
            item = CatalogueItem.from_document(
                change.document, version=change.version, changed_at=change.changed_at
            )
            news[change.id] = item
            earlier = declared.get(change.id) or self.ever_declared(change.id)
            declared[change.id] = earlier.union(field.name for field in item.content_fields)
        if not news:
            return self
        return CatalogueBook({**self._items, **news}, {**self._ever_declared, **declared})

    def ever_declared(self, code: str) -> frozenset[str]:
        """Return the names of all content fields an item has declared in any version: no
        record of it, however old, has content under another name."""
        return self._ever_declared.get(code, frozenset())

    def __getitem__(self, code: str) -> CatalogueItem:
        return self._items[code]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)
