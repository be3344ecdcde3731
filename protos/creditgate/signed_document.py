"""What the gateway's signed documents share: how they write names, codes and instants.

A document is a JWT in compact form over JSON with a published schema. Times are seconds
since 1970 (UTC), as in any JWT; enum values go by their names without prefix. What is not
known or does not apply is left out.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Annotated, Any, Final, Protocol

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, WithJsonSchema

from creditgate.v1.vocabulary_pb2 import Purpose

DOCUMENT_ALGORITHMS: Final = ("ES256", "EdDSA", "Ed25519")
"""What documents are signed with; the last two are one (RFC 9864 section 2.2)."""

KEYS_PATH: Final = "/consent/receipt-keys.json"
"""Path below the issuer of all keys that sign or ever signed documents (RFC 7517)."""

USCC_PATTERN: Final = "^[0-9A-HJ-NP-RTUW-Y]{2}[0-9]{6}[0-9A-HJ-NP-RTUW-Y]{10}$"
"""Form of a unified social credit code (GB 32100-2015)."""

_END_OF_TIME: Final = 253_402_300_799


class _Enum(Protocol):
    def items(self) -> Iterable[tuple[str, int]]: ...


def names_of(enum: _Enum, prefix: str) -> Mapping[int, str]:
    """Return the stated values of a proto enum by number, named without ``prefix``."""
    return {number: name.removeprefix(prefix) for name, number in enum.items() if number}


def among(names: Mapping[int, str]) -> AfterValidator:
    """Return the check that a text is one of ``names``."""

    def check(name: str) -> str:
        if name not in names.values():
            raise ValueError("use one of " + ", ".join(names.values()))
        return name

    return AfterValidator(check)


def listed(names: Mapping[int, str]) -> WithJsonSchema:
    """Return the schema of a text that is one of ``names``."""
    return WithJsonSchema({"type": "string", "enum": list(names.values())})


PURPOSES: Final = names_of(Purpose, "PURPOSE_")
PurposeName = Annotated[str, among(PURPOSES), listed(PURPOSES)]
Instant = Annotated[int, Strict(), Field(ge=0, le=_END_OF_TIME)]
# What is left out is never sent as null.
PLAIN_INSTANT: Final = WithJsonSchema({"type": "integer", "minimum": 0, "maximum": _END_OF_TIME})
"""Schema of an instant that may be left out."""
ShortText = Annotated[str, Field(min_length=1, max_length=512)]


class DocumentPart(BaseModel):
    """A part of a document. Immutable.

    What a reader does not know could change what a document means, so it must not pass over
    it: an addition makes another version of the schema.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    def as_json(self) -> dict[str, Any]:
        """Return it as documents carry it, without what it leaves out."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def schema_of(document: type[DocumentPart], url: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a document, published at ``url``."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": url,
        **_schema(document),
    }


@cache
def _schema(document: type[DocumentPart]) -> dict[str, Any]:
    return document.model_json_schema(by_alias=True)
