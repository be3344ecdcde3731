"""What commands print: tables for people, one JSON document for scripts.

Money is integer micro-yuan and is shown in yuan with all six decimals; times are UTC.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1.vocabulary_pb2 import Interval

if TYPE_CHECKING:
    from rich.console import Console

_MICRO: Final = 1_000_000
# What is not a terminal has no width: wide enough that no cell is ever wrapped.
_PLAIN_WIDTH: Final = 4_000


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table to be shown. Columns named in ``numbers`` stand to the right."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[str] = frozenset()


def console(*, to_stderr: bool = False) -> "Console":
    """Return where people read; plain where that is no terminal."""
    from rich.console import Console

    found = Console(stderr=to_stderr, highlight=False)
    if not found.is_terminal:
        found = Console(stderr=to_stderr, highlight=False, width=_PLAIN_WIDTH)
    return found


def show(answer: Message, *sheets: Sheet, as_json: bool) -> None:
    """Print an answer: as JSON with the protos' own field names, or as ``sheets``."""
    if as_json:
        print_json(as_dict(answer))
        return
    terminal = console()
    for sheet in sheets:
        show_sheet(sheet, terminal)


def show_sheet(sheet: Sheet, terminal: "Console") -> None:
    """Print a table."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    if not sheet.rows:
        terminal.print(Text(f"{sheet.title}: none"))
        return
    table = Table(title=Text(sheet.title, style="bold"), title_justify="left", box=box.SIMPLE_HEAD)
    for column in sheet.columns:
        table.add_column(
            column, justify="right" if column in sheet.numbers else "left", overflow="fold"
        )
    for row in sheet.rows:
        # Text, not markup: what a record says must not be read as a style.
        table.add_row(*(Text(cell) for cell in row))
    terminal.print(table)


def as_dict(message: Message) -> dict[str, object]:
    """Return a message as JSON has it, with the protos' own field names."""
    return MessageToDict(message, preserving_proto_field_name=True)


def print_json(document: object) -> None:
    """Print one JSON document."""
    json.dump(document, sys.stdout, ensure_ascii=False, indent=2)
    sys.stdout.write("\n")


def yuan(micro_yuan: int) -> str:
    """Return an amount of micro-yuan in yuan, exactly."""
    whole, part = divmod(abs(micro_yuan), _MICRO)
    return f"{'-' if micro_yuan < 0 else ''}{whole}.{part:06d}"


def utc(time: Timestamp) -> str:
    """Return a time in ISO 8601, UTC; "" where it is unset."""
    return utc_seconds(time.seconds) if time.seconds else ""


def utc_seconds(seconds: int) -> str:
    """Return seconds since the epoch in ISO 8601, UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def period(interval: Interval) -> str:
    """Return a half-open period; an unset end is without end."""
    return f"[{utc(interval.start_time) or '…'}, {utc(interval.end_time) or '…'})"


def several(values: Iterable[str], none: str = "") -> str:
    """Return ``values`` in one cell, ``none`` where there are none."""
    return ", ".join(values) or none
