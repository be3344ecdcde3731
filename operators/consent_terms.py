"""What a detail says of the consent it asks for: the member ``consent_terms``.

The rest of the terms stands in the detail itself: items, purposes, regions and period.
Their limits are those of ``ConsentTerms`` in consent_service.proto, judged by who keeps
consents.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    Strict,
    WithJsonSchema,
)

from creditgate import plain_text
from creditgate.consent_artefact import ACCESS_MODES, ANSWER_FORMS, DATA_LIFE_ENDS
from operators.authorization_details import EACH_ONCE

_MOST_MESSAGE: Final = 500


def _among(names: Mapping[int, str]) -> tuple[AfterValidator, WithJsonSchema]:
    listed = list(names.values())

    def check(name: str) -> str:
        if name not in listed:
            raise ValueError("use one of " + ", ".join(listed))
        return name

    return AfterValidator(check), WithJsonSchema({"type": "string", "enum": listed})


def _message(text: str) -> str:
    if len(text) > _MOST_MESSAGE:
        raise ValueError(f"use at most {_MOST_MESSAGE} characters")
    mend = plain_text.fault(text)
    if mend is not None:
        raise ValueError(mend)
    return text


def _in_order(fields: Mapping[str, frozenset[str]]) -> dict[str, list[str]]:
    return {item: sorted(names) for item, names in sorted(fields.items())}


_AccessMode = Annotated[str, *_among(ACCESS_MODES)]
_AnswerForm = Annotated[str, *_among(ANSWER_FORMS)]
_DataLifeEnd = Annotated[str, *_among(DATA_LIFE_ENDS)]
_Count = Annotated[int, Strict(), Field(ge=1)]
_Names = Annotated[frozenset[str], Field(min_length=1), EACH_ONCE]


class AskedConsentTerms(BaseModel):
    """How a consent asked for by an authorisation code may be used.

    Named and numbered as in ``ConsentTerms`` of consent_service.proto.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    access_mode: _AccessMode = Field(
        description="How often: once, at will within the period, or so many times a day."
    )
    times_per_day: _Count = Field(
        default_factory=lambda: 0,
        description="Most answered requests in one UTC day; with TIMES_PER_DAY, and no other.",
    )
    data_life: _Count = Field(
        description="Seconds that each record may be kept, counted from when it was last given."
    )
    data_life_end: _DataLifeEnd = Field(description="What must happen to copies then.")
    answer_form: _AnswerForm = Field(
        default="RECORDS", description="The records, or a grade alone."
    )
    fields: Annotated[dict[str, _Names], PlainSerializer(_in_order)] = Field(
        default_factory=dict[str, _Names],
        description="Content fields wanted, by item code; an item left out: all it declares.",
    )
    message: Annotated[str, AfterValidator(_message)] = Field(
        default="",
        max_length=_MOST_MESSAGE,
        description="What the operator tells the subject, plain text in one line.",
    )

    def as_json(self) -> dict[str, Any]:
        """Return it as requests have it, without what it leaves out."""
        return self.model_dump(mode="json", exclude_defaults=True)
