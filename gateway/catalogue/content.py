"""Content against the fields its item declares, canonical to the byte. Pure.

Source: RFC 8785 (JSON Canonicalization Scheme), for the values content may have: strings,
whole numbers within 2^53, booleans. Names of declared fields are ASCII, so their order by
character is the order by UTF-16 code unit that the RFC asks for.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from json.encoder import encode_basestring
from typing import Final, NamedTuple, NoReturn, cast

from creditgate.plain_text import is_hidden_in
from creditgate.v1.catalogue_service_pb2 import ContentFieldType
from gateway.catalogue.model import ContentField
from gateway.catalogue.personal import holds_personal_data, suspicious
from gateway.catalogue.rejection import Rejection, RejectionReason

MOST_BYTES: Final = 65_536
_MOST_INTEGER: Final = 2**53 - 1
_ABSENT: Final = object()
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_FIELD_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_STRING: Final = ContentFieldType.CONTENT_FIELD_TYPE_STRING
_INTEGER: Final = ContentFieldType.CONTENT_FIELD_TYPE_INTEGER
_BOOLEAN: Final = ContentFieldType.CONTENT_FIELD_TYPE_BOOLEAN
_DATE_TYPE: Final = ContentFieldType.CONTENT_FIELD_TYPE_DATE


class _Declared(NamedTuple):
    name: str
    key: str
    type: int
    required: bool
    max_length: int


class ContentRule:
    """What the content of one item's records must be."""

    __slots__ = ("_declared",)

    def __init__(self, fields: Iterable[ContentField]) -> None:
        self._declared = tuple(
            _Declared(
                field.name,
                f"{encode_basestring(field.name)}:",
                field.type,
                field.required,
                field.max_length,
            )
            for field in sorted(fields, key=lambda field: field.name)
        )

    def fault(self, content: bytes, subject: str) -> Rejection | None:
        """Return why ``content`` may not enter, None when it may.

        ``subject`` is the record's credit code, see `personal.holds_personal_data`.
        """
        if len(content) > MOST_BYTES:
            return Rejection(RejectionReason.CONTENT_TOO_LARGE, "content")
        try:
            text = content.decode()
            parsed: object = _DECODER.decode(text)
        except (ValueError, RecursionError):
            return Rejection(RejectionReason.CONTENT_NOT_JSON, "content")
        if type(parsed) is not dict:
            return Rejection(RejectionReason.CONTENT_NOT_JSON, "content")
        members = cast(Mapping[str, object], parsed)
        written = self._written(members)
        if isinstance(written, Rejection):
            return written
        if written != text:
            return Rejection(RejectionReason.CONTENT_NOT_CANONICAL, "content")
        # Canonical JSON writes the lower control characters with a backslash.
        if "\\" in text or is_hidden_in(text):
            hidden = self._where(members, lambda _, value: is_hidden_in(value))
            if hidden is not None:
                return Rejection(RejectionReason.HIDDEN_CHARACTER, hidden)
        if suspicious(text):
            private = self._where(
                members, lambda name, value: holds_personal_data(value, subject, name)
            )
            if private is not None:
                return Rejection(RejectionReason.PERSONAL_DATA, private)
        return None

    def _written(self, members: Mapping[str, object]) -> str | Rejection:
        """Return the members in canonical form, or what is wrong with one of them."""
        parts: list[str] = []
        for name, key, type_, required, max_length in self._declared:
            value = members.get(name, _ABSENT)
            if value is _ABSENT:
                if required:
                    return Rejection(RejectionReason.FIELD_MISSING, f"content.{name}")
                continue
            if type_ == _INTEGER:
                if type(value) is not int:
                    return Rejection(RejectionReason.FIELD_TYPE, f"content.{name}")
                if not -_MOST_INTEGER <= value <= _MOST_INTEGER:
                    return Rejection(RejectionReason.FIELD_OUT_OF_RANGE, f"content.{name}")
                parts.append(f"{key}{value}")
            elif type_ == _BOOLEAN:
                if type(value) is not bool:
                    return Rejection(RejectionReason.FIELD_TYPE, f"content.{name}")
                parts.append(f"{key}true" if value else f"{key}false")
            else:
                if type(value) is not str:
                    return Rejection(RejectionReason.FIELD_TYPE, f"content.{name}")
                if type_ == _DATE_TYPE:
                    if not _is_date(value):
                        return Rejection(RejectionReason.FIELD_NOT_A_DATE, f"content.{name}")
                elif len(value) > max_length:
                    return Rejection(RejectionReason.FIELD_TOO_LONG, f"content.{name}")
                elif required and not value.strip():
                    return Rejection(RejectionReason.FIELD_MISSING, f"content.{name}")
                parts.append(key + encode_basestring(value))
        if len(parts) != len(members):
            return self._undeclared(members)
        return f"{{{','.join(parts)}}}"

    def _undeclared(self, members: Mapping[str, object]) -> Rejection:
        declared = {field.name for field in self._declared}
        name = next(name for name in members if name not in declared)
        # A name may be anything, even the value at fault, unless it looks like a name.
        field = f"content.{name}" if _FIELD_NAME.fullmatch(name) else "content"
        return Rejection(RejectionReason.FIELD_UNKNOWN, field)

    def _where(
        self, members: Mapping[str, object], at_fault: Callable[[str, str], bool]
    ) -> str | None:
        """Return the first field of whose name and text ``at_fault`` is true, None when there is
        none."""
        for field in self._declared:
            value = members.get(field.name)
            if field.type == _STRING and isinstance(value, str) and at_fault(field.name, value):
                return f"content.{field.name}"
        return None


def _is_date(text: str) -> bool:
    if _DATE.fullmatch(text) is None:
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


_DECODER: Final = json.JSONDecoder(parse_constant=_no_constant)
