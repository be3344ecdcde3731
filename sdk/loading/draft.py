"""Drafts: what a mapping makes of a row's cells. Pure."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate import uscc
from creditgate.v1.disclosure_service_pb2 import RecordDraft
from creditgate.v1.vocabulary_pb2 import Severity
from sdk.loading.content import ContentWriter
from sdk.loading.fault import RowFault, RowRefused
from sdk.loading.mapping import SEVERITIES, Cleaning, ColumnMapping, End, RecordId, Start
from sdk.loading.moments import moment_reader
from sdk.loading.surrogate import surrogate_code

# Line breaks and page breaks of other systems, and what word processors and web pages leave in
# texts that nobody sees. Overrides of direction are none of it: the gateway rejects them.
_LEFT_OVER: Final = re.compile("(\r\n?|[\v\f\x85\u2028\u2029])|[\u00ad\u200b-\u200f\u2060\ufeff]")
_RECORD_ID: Final = re.compile(r"[A-Za-z0-9._~-]{1,128}")
_MOMENTS_KEPT: Final = 16_384
_DAY: Final = 86_400

_Cells = Sequence[str]
_Text = Callable[[_Cells], str]
_Time = Callable[[_Cells], Timestamp | None]


class DraftMaker:
    """Makes drafts of rows whose cells stand in the order of `ColumnMapping.used`."""

    def __init__(self, mapping: ColumnMapping) -> None:
        columns = mapping.used()
        self._columns = columns
        uses = [(field, column) for field, column in mapping.uses() if column]
        # Of several, the first.
        self._field = {column: field for field, column in reversed(uses)}
        self._column = dict(reversed(uses))
        position = {column: at for at, column in enumerate(columns)}
        self._item = mapping.item
        self._clean = tuple(
            _cleaner(mapping.columns[column]) if column in mapping.columns else _tidied
            for column in columns
        )
        self._subject = _subject(mapping, position)
        self._region = _region(mapping, position)
        self._source = _source(mapping, position)
        self._severity = _severity(mapping, position)
        self._record_id = _record_id(mapping.record_id, position)
        self._from = _start(mapping.disclosed_from, position)
        self._until = _end(mapping.disclosed_until, position)
        self._content = ContentWriter(mapping, position)

    def draft(self, cells: Sequence[str]) -> RecordDraft:
        """Return the draft. Raises RowRefused."""
        try:
            return self._draft(self._cleaned(cells))
        except UnicodeEncodeError:
            # A byte that is no UTF-8 reaches here as a lone surrogate (PEP 383).
            column = next(
                column
                for column, cell in zip(self._columns, cells, strict=True)
                if not _is_text(cell)
            )
            raise RowRefused(RowFault.NOT_UTF8, field=self._field[column], column=column) from None

    def column_of(self, field: str) -> str:
        """Return the column, or first of several, that ``field``, in proto notation, is made
        of; "" for none."""
        return self._column.get(field, "")

    def _cleaned(self, cells: Sequence[str]) -> list[str]:
        cleaned: list[str] = []
        for clean, cell in zip(self._clean, cells, strict=True):
            text = clean(cell)
            if text is None:
                column = self._columns[len(cleaned)]
                raise RowRefused(
                    RowFault.VALUE_NOT_LISTED, field=self._field[column], column=column
                )
            cleaned.append(text)
        return cleaned

    def _draft(self, cells: _Cells) -> RecordDraft:
        subject = self._subject(cells)
        return RecordDraft(
            subject=subject,
            region=self._region(cells, subject),
            record_id=self._record_id(cells),
            item=self._item,
            source=self._source(cells),
            severity=self._severity(cells),
            disclosed_from=self._from(cells),
            disclosed_until=self._until(cells),
            content=self._content.write(cells),
        )


def _is_text(cell: str) -> bool:
    try:
        cell.encode()
    except UnicodeEncodeError:
        return False
    return True


def _tidied(cell: str) -> str:
    """Return a cell without blanks around it, its lines ended by line feeds, and without soft
    hyphens, joiners, blanks of no width, byte order marks, and marks of direction."""
    if not cell.isprintable():
        cell = _LEFT_OVER.sub(lambda each: "\n" if each[1] else "", cell)
    return cell.strip()


def _cleaner(cleaning: Cleaning) -> Callable[[str], str | None]:
    """Return what cleans a cell; None from it means that the value is not listed."""
    right = cleaning.right_spellings() | dict.fromkeys(cleaning.absent, "")
    one_line, closed = cleaning.one_line, cleaning.closed

    def clean(cell: str) -> str | None:
        text = _tidied(cell)
        text = " ".join(text.split()) if one_line else text
        return right.get(text, None if closed and text else text)

    return clean


def _taken(field: str, column: str, position: Mapping[str, int], missing: RowFault) -> _Text:
    at = position[column]

    def take(cells: _Cells) -> str:
        text = cells[at]
        if not text:
            raise RowRefused(missing, field=field, column=column)
        return text

    return take


def _fixed(text: str) -> _Text:
    return lambda _: text


def _subject(mapping: ColumnMapping, position: Mapping[str, int]) -> _Text:
    if mapping.subject.column:
        return _taken("subject", mapping.subject.column, position, RowFault.SUBJECT_MISSING)
    named = _taken("subject", mapping.subject.derived_from[0], position, RowFault.SUBJECT_MISSING)
    places = [position[column] for column in mapping.subject.derived_from]

    def derive(cells: _Cells) -> str:
        named(cells)
        return surrogate_code([cells[at] for at in places])

    return derive


def _region(mapping: ColumnMapping, position: Mapping[str, int]) -> Callable[[_Cells, str], str]:
    region = mapping.region
    if region.column:
        take = _taken("region", region.column, position, RowFault.VALUE_MISSING)
        return lambda cells, _: take(cells)
    if region.fixed:
        return lambda _, __: region.fixed
    return lambda _, subject: _division(subject, mapping.subject.column)


def _division(subject: str, column: str) -> str:
    """Return the division in a credit code. A code without one cannot be placed, so it is
    refused here for the reason the gateway would give."""
    division = subject[2:8]
    if division.isascii() and division.isdigit() and len(division) == 6:
        return division
    fault = uscc.fault(subject)
    raise RowRefused(RowFault[fault or "USCC_ALPHABET"], field="subject", column=column)


def _source(mapping: ColumnMapping, position: Mapping[str, int]) -> _Text:
    if mapping.source.column:
        return _taken("source", mapping.source.column, position, RowFault.VALUE_MISSING)
    return _fixed(mapping.source.fixed)


def _severity(
    mapping: ColumnMapping, position: Mapping[str, int]
) -> Callable[[_Cells], Severity.ValueType]:
    severity = mapping.severity
    if severity is None:
        return lambda _: Severity.SEVERITY_UNSPECIFIED
    if severity.fixed:
        fixed = SEVERITIES[severity.fixed]
        return lambda _: fixed
    column = severity.column
    take = _taken("severity", column, position, RowFault.VALUE_MISSING)

    def grade(cells: _Cells) -> Severity.ValueType:
        number = SEVERITIES.get(take(cells))
        if number is None:
            raise RowRefused(RowFault.VALUE_NOT_LISTED, field="severity", column=column)
        return number

    return grade


def _record_id(record_id: RecordId, position: Mapping[str, int]) -> _Text:
    if record_id.hash_of:
        places = [position[column] for column in record_id.hash_of]
        head = f"{record_id.prefix}-"
        # The length before each value: no two rows of different values are hashed alike.
        return lambda cells: (
            head
            + sha256("".join(f"{len(cells[at])}:{cells[at]}" for at in places).encode()).hexdigest()
        )
    pieces = [(text, position.get(column), column) for text, column in record_id.pieces()]

    def fill(cells: _Cells) -> str:
        filled = "".join(list(_filled(pieces, cells)))
        if _RECORD_ID.fullmatch(filled) is None:
            first = next(column for _, _, column in pieces if column)
            raise RowRefused(RowFault.RECORD_ID_INVALID, field="record_id", column=first)
        return filled

    return fill


def _filled(pieces: Sequence[tuple[str, int | None, str]], cells: _Cells) -> Iterator[str]:
    for text, at, column in pieces:
        yield text
        if at is not None:
            if not cells[at]:
                raise RowRefused(RowFault.VALUE_MISSING, field="record_id", column=column)
            yield cells[at]


def _start(start: Start, position: Mapping[str, int]) -> _Time:
    taken = _taken("disclosed_from", start.column, position, RowFault.START_MISSING)
    stamp = _stamp(start.formats, 0)

    def take(cells: _Cells) -> Timestamp:
        time = stamp(taken(cells))
        if time is None:
            raise RowRefused(RowFault.START_NOT_A_DATE, field="disclosed_from", column=start.column)
        return time

    return take


def _end(end: End | None, position: Mapping[str, int]) -> _Time:
    if end is None:
        return lambda _: None
    at = position[end.column]
    stamp = _stamp(end.formats, _DAY if end.last_day else 0)

    def take(cells: _Cells) -> Timestamp | None:
        text = cells[at]
        if not text and end.optional:
            return None
        time = stamp(text)
        if time is None:
            fault = RowFault.END_NOT_A_DATE if text else RowFault.END_MISSING
            raise RowRefused(fault, field="disclosed_until", column=end.column)
        return time

    return take


def _stamp(formats: Sequence[str], after: int) -> Callable[[str], Timestamp | None]:
    """Return what reads a time, None when it is none; ``after`` seconds are added to dates."""
    read = moment_reader(formats)

    # Dates recur; reading one is the dearest step of a row.
    @lru_cache(_MOMENTS_KEPT)
    def stamp(text: str) -> Timestamp | None:
        moment = read(text)
        if moment is None:
            return None
        return Timestamp(seconds=moment.seconds + (after if moment.whole_day else 0))

    return stamp
