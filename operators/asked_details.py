"""Details as clients send them: JSON text read with a pointer to whatever is wrong."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final, NamedTuple

from pydantic import Field, TypeAdapter, ValidationError

from operators.authorization_details import MOST_DETAILS, TYPE, AuthorizationDetail, Details

MOST_CHARACTERS: Final = 8_192
"""Most characters of the parameter; it must fit a token, and that gRPC's metadata."""

_NAMEABLE: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DETAILS: Final = TypeAdapter[tuple[AuthorizationDetail, ...]](
    Annotated[Details, Field(min_length=1)]
)


class AskedDetails(NamedTuple):
    """Details as a client sent them: read, and the JSON values they were read from."""

    details: tuple[AuthorizationDetail, ...]
    document: Sequence[dict[str, Any]]

    def pointer(self, index: int, field: str, value: str | None = None) -> str:
        """Return the JSON pointer to a field of a detail, or to one value of its list."""
        where: list[int | str] = [index, *field.split("/")]
        values = self.document[index].get(field)
        if value is not None and isinstance(values, list):
            where.append(values.index(value))
        elif field.partition("/")[0] not in self.document[index]:
            # What was left out cannot be pointed at.
            where = [index]
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
        return AskedDetails(_DETAILS.validate_python(document), document)
    except ValidationError as error:
        raise _fault_of(error) from None


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
    where, kind = fault["loc"], fault["type"]
    mend = _MENDS.get(kind) or fault["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden" and not _NAMEABLE.fullmatch(str(where[-1])):
        where = where[:-1]
    return DetailsFault(_pointer_to(where), mend[:1].lower() + mend[1:])


_MENDS: Final = {
    "missing": "required",
    "extra_forbidden": "the type has no such field; leave it out",
    "literal_error": f"the only type is {TYPE}",
    "model_type": "use an object",
    "tuple_type": f"send an array of 1 to {MOST_DETAILS} objects",
    "string_type": "use text",
    "int_type": "use whole seconds since 1970 (UTC)",
    "frozen_set_type": "use an array of texts",
    "too_long": "name fewer",
    "too_short": "name at least one, or leave it out for all",
}
