"""Records as they were answered, one a line in proto3 JSON: what ``creditgate batch
--output`` writes. ``content_digest`` does in the place of a ``content`` that is left out."""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from sdk.copies import fields
from sdk.copies.fields import FieldRefused
from sdk.copies.held import HeldCopy, refused
from sdk.loading.fault import RowFault
from sdk.loading.rows import MOST_LINE

_DIGEST_BYTES: Final = 32


def saved_copies(path: Path) -> Iterator[HeldCopy]:
    """Yield every line of a file as a copy; blank lines are none.

    Raises CopiesRefused, OSError.
    """
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MOST_LINE):
            number += 1
            if len(line) == MOST_LINE and not line.endswith(b"\n"):
                raise refused(path, number, RowFault.LINE_TOO_LONG.value)
            if line.isspace():
                continue
            try:
                yield _copy(number, _record(line))
            except FieldRefused as fault:
                raise refused(path, number, str(fault)) from None


def _record(line: bytes) -> Mapping[str, Any]:
    try:
        record: Any = json.loads(line)
    except (ValueError, RecursionError):
        raise FieldRefused(RowFault.NOT_JSON.value) from None
    if not isinstance(record, dict):
        raise FieldRefused(RowFault.NOT_JSON.value)
    return record


def _copy(number: int, record: Mapping[str, Any]) -> HeldCopy:
    content = _bytes_of(record, "content")
    digest = fields.digest_of(content) if content else _bytes_of(record, "content_digest")
    if len(digest) != _DIGEST_BYTES:
        # No record's content is nothing: its copy would be found altered.
        raise FieldRefused("write content as it was served, or its content_digest, in base64")
    return HeldCopy(
        number,
        fields.record_id(_text(record, "name")),
        content or None,
        digest,
        fields.disclosed_from(_text(record, "disclosed_from")),
        fields.disclosed_until(_text(record, "disclosed_until")),
    )


def _text(record: Mapping[str, Any], name: str) -> str:
    # proto3 JSON leaves out what is unset.
    value = record.get(name, "")
    if not isinstance(value, str):
        raise FieldRefused(f"write {name} as a text")
    return value


def _bytes_of(record: Mapping[str, Any], name: str) -> bytes:
    try:
        return base64.b64decode(_text(record, name), validate=True)
    except (ValueError, binascii.Error):
        raise FieldRefused(f"write {name} in base64, as proto3 JSON does") from None
