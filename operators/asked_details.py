"""Details as clients send them: JSON text read with a pointer to whatever is wrong."""

import json
import re
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import takewhile
from typing import Annotated, Any, Final, NamedTuple, Self, cast

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError, model_validator
from pydantic.json_schema import SkipJsonSchema

from operators.authorization_details import MOST_DETAILS, TYPE, AuthorizationDetail, given
from operators.consent_terms import AskedConsentTerms
from operators.shapes import END_OF_TIME

MOST_CHARACTERS: Final = 8_192
"""Most characters of the parameter; it must fit a token, and that gRPC's metadata."""

_NAMEABLE: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class AskedDetail(AuthorizationDetail):
    """One detail as a client asks for it: a use of data, and the consent it shall rest on.

    Such a consent is of one subject, for named things, up to a named end; nobody could
    know what they agree to otherwise.
    """

    consent_terms: Annotated[AskedConsentTerms | SkipJsonSchema[None], BeforeValidator(given)] = (
        Field(
            # As for `consent`: a plain default would be published as a null.
            default_factory=lambda: None,
            description="Asks the subject for a consent of these terms. In pushed requests alone,"
            " and in one detail alone, which names one subject, items, purposes, regions and the"
            " end of its period; the token then rests on the consent.",
        )
    )

    @model_validator(mode="after")
    def _terms_are_whole(self) -> Self:
        if self.consent_terms is None:
            return self
        if self.consent is not None:
            raise ValueError("consent_terms ask for a new consent: name none")
        if len(self.subjects) != 1:
            raise ValueError("with consent_terms, name exactly one subject")
        for field in ("items", "purposes", "regions"):
            if not getattr(self, field):
                raise ValueError(f"with consent_terms, name the {field}")
        if self.period.until == END_OF_TIME:
            raise ValueError("with consent_terms, name the end of the period")
        return self

    def without_terms(self) -> AuthorizationDetail:
        """Return what a token may carry of it."""
        kept = self.model_fields_set & AuthorizationDetail.model_fields.keys()
        return AuthorizationDetail.model_validate({name: getattr(self, name) for name in kept})


_DETAILS: Final = TypeAdapter[tuple[AskedDetail, ...]](
    Annotated[tuple[AskedDetail, ...], Field(min_length=1, max_length=MOST_DETAILS)]
)


class AskedDetails(NamedTuple):
    """Details as a client sent them: read, and the JSON values they were read from.

    ``consent_terms`` are those of the one detail that asks for a consent, None where none
    does.
    """

    details: tuple[AuthorizationDetail, ...]
    document: Sequence[dict[str, Any]]
    consent_terms: AskedConsentTerms | None = None

    def pointer(self, index: int, field: str, value: str | None = None) -> str:
        """Return the JSON pointer to a field of a detail, or to one value of its list."""
        where: list[int | str] = [index]
        place: Any = self.document[index]
        for step in field.split("/"):
            # What was left out cannot be pointed at.
            if step not in place:
                return _pointer_to(where)
            where.append(step)
            place = place[step]
        if value is not None and isinstance(place, list):
            where.append(cast(list[str], place).index(value))
        return _pointer_to(where)


class DetailsFault(ValueError):
    """What is wrong with details: where, as a JSON pointer (RFC 6901), and the mend.

    Neither repeats a value, nor names of fields beyond letters, digits, ``_`` and ``-``.
    """

    def __init__(self, pointer: str, mend: str) -> None:
        super().__init__(f"{pointer}: {mend}")
        self.pointer = pointer
        self.mend = mend


def read_details(text: str) -> AskedDetails:
    """Return the details a parameter ``authorization_details`` holds.

    Raises DetailsFault.
    """
    if len(text) > MOST_CHARACTERS:
        raise DetailsFault("", f"use at most {MOST_CHARACTERS} characters")
    try:
        document = json.loads(text, object_pairs_hook=_named_once)
    except (ValueError, RecursionError):
        raise DetailsFault("", "send a JSON array of objects whose names are unique") from None
    try:
        asked = _DETAILS.validate_python(document)
    except ValidationError as error:
        raise _fault_of(error) from None
    terms = [detail.consent_terms for detail in asked]
    sole = next((index for index, each in enumerate(terms) if each is not None), None)
    if sole is not None and len(asked) > 1:
        raise DetailsFault(
            _pointer_to((sole, "consent_terms")), "ask for a consent in one detail alone"
        )
    plain = tuple(detail.without_terms() for detail in asked)
    return AskedDetails(plain, document, None if sole is None else terms[sole])


@cache
def details_schema() -> dict[str, Any]:
    """Return the JSON Schema of what the parameter holds, without ``$schema`` and ``$id``."""
    return _DETAILS.json_schema()


def _pointer_to(where: Iterable[int | str]) -> str:
    """Return a place as a JSON pointer; no name of ours needs its escapes."""
    return "".join(f"/{step}" for step in where)


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a name comes twice")
    return fields


def _fault_of(error: ValidationError) -> DetailsFault:
    fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
    # Pydantic tells by its name which of several types a value was taken for.
    where = (step for step in fault["loc"] if step != AskedConsentTerms.__name__)
    kind = fault["type"]
    mend = _MENDS.get(kind) or fault["msg"].removeprefix("Value error, ")
    named = takewhile(lambda step: _NAMEABLE.fullmatch(str(step)), where)
    return DetailsFault(_pointer_to(named), mend[:1].lower() + mend[1:])


_MENDS: Final = {
    "missing": "required",
    "extra_forbidden": "the type has no such field; leave it out",
    "literal_error": f"the only type is {TYPE}",
    "model_type": "use an object",
    "tuple_type": f"send an array of 1 to {MOST_DETAILS} objects",
    "string_type": "use text",
    "int_type": "use a whole number; times are seconds since 1970 (UTC)",
    "frozen_set_type": "use an array of texts",
    "dict_type": "use an object of arrays",
    "too_long": "name fewer",
    "too_short": "name at least one, or leave it out for all",
}
