"""Content as the gateway takes it: an RFC 8785 canonical JSON object.

Only strings, integers within 2^53 and booleans occur, and field names are ASCII, so that
sorting by character is the RFC's order by UTF-16 code unit (section 3.2.3), and the
escapes of Python's C encoder are those of section 3.2.2.2.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Final, NamedTuple

from sdk.loading.fault import RowFault, RowRefused
from sdk.loading.mapping import ColumnMapping, ContentColumn
from sdk.loading.moments import DATE, moment_reader

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,16}")
_MOST_INTEGER: Final = 2**53 - 1
_BOOLEANS: Final = frozenset(("true", "false"))
_DATES_KEPT: Final = 16_384

_Write = Callable[[str], str | RowFault]


class _FieldWriter(NamedTuple):
    key: str
    at: int
    write: _Write
    required: bool
    field: str
    column: str


class ContentWriter:
    """Writes the content of a row, its cells already cleaned."""

    __slots__ = ("_fields",)

    def __init__(self, mapping: ColumnMapping, position: Mapping[str, int]) -> None:
        self._fields = tuple(
            _FieldWriter(
                f"{encode_basestring(name)}:",
                position[field.column],
                _writer(field),
                field.required,
                f"content.{name}",
                field.column,
            )
            for name, field in sorted(mapping.content.items())
        )

    def write(self, cells: Sequence[str]) -> bytes:
        """Return the canonical bytes. Raises RowRefused, UnicodeEncodeError."""
        parts: list[str] = []
        for key, at, write, required, field, column in self._fields:
            text = cells[at]
            if text:
                written = write(text)
                if type(written) is RowFault:
                    raise RowRefused(written, field=field, column=column)
                parts.append(f"{key}{written}")
            elif required:
                raise RowRefused(RowFault.FIELD_MISSING, field=field, column=column)
        return f"{{{','.join(parts)}}}".encode()


def _writer(field: ContentColumn) -> _Write:
    match field.type:
        case "string":
            return encode_basestring
        case "integer":
            return _integer
        case "boolean":
            return _boolean
        case "date":
            return _date_writer(field.formats or (DATE,))


def _integer(text: str) -> str | RowFault:
    if _INTEGER.fullmatch(text) is None or not (-_MOST_INTEGER <= int(text) <= _MOST_INTEGER):
        return RowFault.FIELD_NOT_AN_INTEGER
    return str(int(text))


def _boolean(text: str) -> str | RowFault:
    plain = text.lower()
    return plain if plain in _BOOLEANS else RowFault.FIELD_NOT_A_BOOLEAN


def _date_writer(formats: Sequence[str]) -> _Write:
    read = moment_reader(formats)

    # Dates recur; reading one is the dearest step of a row.
    @lru_cache(_DATES_KEPT)
    def write(text: str) -> str | RowFault:
        moment = read(text)
        return RowFault.FIELD_NOT_A_DATE if moment is None else f'"{moment.day.isoformat()}"'

    return write
