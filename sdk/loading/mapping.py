"""What a column mapping says: from the columns of a source to the fields of a RecordDraft."""

from collections.abc import Iterator
from string import Formatter
from typing import Annotated, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from creditgate.v1.vocabulary_pb2 import Severity
from sdk.loading.moments import check_format

SEVERITIES: Final = {
    name.removeprefix("SEVERITY_").lower(): number for name, number in Severity.items() if number
}

Column = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Columns = Annotated[tuple[Column, ...], Field(min_length=1, max_length=50)]
Format = Annotated[str, AfterValidator(check_format)]
_Spelling = Annotated[str, StringConstraints(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Cleaning(_Part):
    """How the values of a column are cleaned, before anything else looks at them.

    Blanks at both ends always go. ``one_line`` makes one blank of every run of blanks and
    line ends; ``absent`` are spellings of "no value"; ``spellings`` lists, for each right
    spelling, the others met in the source. With ``closed`` a value that is neither a right
    spelling nor listed makes the row refused.
    """

    one_line: bool = False
    absent: frozenset[_Spelling] = frozenset()
    spellings: dict[_Spelling, tuple[_Spelling, ...]] = {}
    closed: bool = False

    @model_validator(mode="after")
    def _spellings_lead_to_one(self) -> Self:
        met = [spelling for others in self.spellings.values() for spelling in others]
        if len({*met, *self.spellings}) != len(met) + len(self.spellings):
            raise ValueError("list each spelling once, the right one not among its others")
        if self.closed and not self.spellings:
            raise ValueError("closed needs spellings")
        return self

    def right_spellings(self) -> dict[str, str]:
        """Return the right spelling by every listed one."""
        others = {other: right for right, met in self.spellings.items() for other in met}
        return others | {right: right for right in self.spellings}


class Chosen(_Part):
    """A value that is the same for all rows, or stands in a column."""

    fixed: str = ""
    column: str = ""

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if bool(self.fixed) == bool(self.column):
            raise ValueError("give either fixed or column")
        return self


class Region(_Part):
    """Where the record belongs: six digits of GB/T 2260, fixed, of a column, or the
    division in the subject's credit code (its characters 3 to 8)."""

    fixed: Annotated[str, StringConstraints(pattern=r"^([0-9]{6})?$")] = ""
    column: str = ""
    of_subject: bool = False

    @model_validator(mode="after")
    def _is_one_of_three(self) -> Self:
        if bool(self.fixed) + bool(self.column) + self.of_subject != 1:
            raise ValueError("give one of fixed, column and of_subject")
        return self


class RecordId(_Part):
    """The record's id, the same in every load of the same row.

    ``template`` puts columns in braces: "registration-{uscc}". ``hash_of`` names the
    columns that tell one record from another; the id is ``prefix``, a hyphen and their
    SHA-256.
    """

    template: str = ""
    prefix: Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9][A-Za-z0-9._~-]{0,62})?$")] = ""
    hash_of: tuple[Column, ...] = ()

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if bool(self.template) == bool(self.hash_of) or bool(self.prefix) != bool(self.hash_of):
            raise ValueError("give either template, or prefix and hash_of")
        return self

    @field_validator("template")
    @classmethod
    def _names_columns_only(cls, template: str) -> str:
        pieces = list(Formatter().parse(template))
        plain = all(name != "" and not (spec or kind) for _, name, spec, kind in pieces)
        if template and not (plain and any(name for _, name, _, _ in pieces)):
            raise ValueError("put at least one column in braces, and nothing but its name")
        return template

    def pieces(self) -> list[tuple[str, str]]:
        """Return the template as (text, column after it); "" for no column."""
        return [(text, name or "") for text, name, _, _ in Formatter().parse(self.template)]


class SubjectCode(_Part):
    """The subject: a column of unified social credit codes, or, for subjects that have
    none, a stand-in drawn from ``derived_from`` (see sdk.loading.surrogate)."""

    column: str = ""
    derived_from: tuple[Column, ...] = ()

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if bool(self.column) == bool(self.derived_from):
            raise ValueError("give either column or derived_from")
        return self


class Start(_Part):
    """When disclosure starts; ``formats`` are tried in order (see sdk.loading.moments)."""

    column: Column
    formats: Annotated[tuple[Format, ...], Field(min_length=1, max_length=10)] = ("date",)


class End(Start):
    """When disclosure ends: the first instant after it.

    With ``last_day`` a date without time is the last day of disclosure, which ends at the
    midnight after it. With ``optional`` a row without value has no end.
    """

    last_day: bool = False
    optional: bool = False


class ContentColumn(_Part):
    """A field of the content; rows without value leave it out unless it is ``required``.

    ``date`` writes YYYY-MM-DD, the day as the source has it, whatever its format.
    """

    column: Column
    type: Literal["string", "integer", "boolean", "date"] = "string"
    required: bool = False
    formats: Annotated[tuple[Format, ...], Field(min_length=1, max_length=10)] | None = None

    @model_validator(mode="after")
    def _formats_are_for_dates(self) -> Self:
        if self.formats is not None and self.type != "date":
            raise ValueError("formats are for type date")
        return self


FieldName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class ColumnMapping(_Part):
    """How the rows of one kind of source become records of one catalogue item.

    ``columns`` says how to clean columns; one not listed is only trimmed. ``severity``,
    where the item has grades, is "minor", "general" or "serious".
    """

    item: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9.-]{0,63}$")]
    columns: dict[Column, Cleaning] = {}
    record_id: RecordId
    subject: SubjectCode
    source: Chosen
    region: Region
    severity: Chosen | None = None
    disclosed_from: Start
    disclosed_until: End | None = None
    content: Annotated[dict[FieldName, ContentColumn], Field(min_length=1, max_length=200)]

    @model_validator(mode="after")
    def _columns_are_used(self) -> Self:
        if unused := sorted(self.columns.keys() - set(self.used())):
            raise ValueError(f"columns cleans what nothing uses: {', '.join(unused)}")
        return self

    @field_validator("severity")
    @classmethod
    def _severity_is_known(cls, severity: Chosen | None) -> Chosen | None:
        if severity is not None and severity.fixed and severity.fixed not in SEVERITIES:
            raise ValueError(f"fix one of {', '.join(SEVERITIES)}")
        return severity

    def used(self) -> tuple[str, ...]:
        """Return the columns a source must have, each once."""
        return tuple(dict.fromkeys(column for _, column in self.uses() if column))

    def uses(self) -> Iterator[tuple[str, str]]:
        """Yield (field in proto notation, column it is made of); "" for no column."""
        yield "subject", self.subject.column
        for column in self.subject.derived_from:
            yield "subject", column
        yield "region", self.region.column
        yield "source", self.source.column
        if self.severity is not None:
            yield "severity", self.severity.column
        yield "disclosed_from", self.disclosed_from.column
        if self.disclosed_until is not None:
            yield "disclosed_until", self.disclosed_until.column
        for name, field in self.content.items():
            yield f"content.{name}", field.column
        for _, column in self.record_id.pieces():
            yield "record_id", column
        for column in self.record_id.hash_of:
            yield "record_id", column
