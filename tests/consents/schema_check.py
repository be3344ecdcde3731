"""The few words of JSON Schema that the artefact's uses, checked as the standard has them.

No validator is among the project's packages; a word that is not known here fails the test.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

_TYPES: Final[Mapping[str, type]] = {"object": dict, "array": list, "string": str, "integer": int}
_NOTES: Final = frozenset({"$schema", "$id", "$defs", "title", "description", "default"})
_WORDS: Final = frozenset(
    {
        "$ref",
        "additionalProperties",
        "const",
        "enum",
        "items",
        "maxItems",
        "maxLength",
        "maximum",
        "minItems",
        "minLength",
        "minimum",
        "pattern",
        "properties",
        "required",
        "type",
    }
)


def faults(
    value: Any, schema: Mapping[str, Any], whole: Mapping[str, Any], at: str = ""
) -> list[str]:
    """Return where ``value`` does not fit ``schema``, a part of ``whole``."""
    unknown = schema.keys() - _NOTES - _WORDS
    assert not unknown, f"this check knows nothing of {unknown}"
    if "$ref" in schema:
        return faults(value, whole["$defs"][schema["$ref"].removeprefix("#/$defs/")], whole, at)
    if "const" in schema and value != schema["const"]:
        return [f"{at}: const"]
    if "type" not in schema:
        return []
    kind = _TYPES[schema["type"]]
    if not isinstance(value, kind) or isinstance(value, bool):
        return [f"{at}: type"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{at}: enum"]
    if isinstance(value, str):
        return _text_faults(value, schema, at)
    if isinstance(value, int):
        fits = schema.get("minimum", value) <= value <= schema.get("maximum", value)
        return [] if fits else [f"{at}: range"]
    if isinstance(value, list):
        fits = schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value))
        return ([] if fits else [f"{at}: number of items"]) + [
            fault
            for index, each in enumerate(value)
            for fault in faults(each, schema["items"], whole, f"{at}/{index}")
        ]
    return _object_faults(value, schema, whole, at)


def _text_faults(value: str, schema: Mapping[str, Any], at: str) -> list[str]:
    if re.search(schema.get("pattern", ""), value) is None:
        return [f"{at}: pattern"]
    fits = schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))
    return [] if fits else [f"{at}: length"]


def _object_faults(
    value: Mapping[str, Any], schema: Mapping[str, Any], whole: Mapping[str, Any], at: str
) -> list[str]:
    known = schema["properties"]
    assert schema["additionalProperties"] is False, f"{at} is open"
    return [
        *(f"{at}/{name}: required" for name in schema.get("required", ()) if name not in value),
        *(f"{at}/{name}: unknown" for name in value if name not in known),
        *(
            fault
            for name, each in value.items()
            if name in known
            for fault in faults(each, known[name], whole, f"{at}/{name}")
        ),
    ]
