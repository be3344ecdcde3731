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
from gateway.cli.tables import column_widths, wrapped

if TYPE_CHECKING:
    from rich.console import Console

_MICRO: Final = 1_000_000
_PROPOSED: Final = """\
Proposed as {proposal_id}; nothing has changed yet. Another administrator has to approve it:
  creditgate scopes approve {proposal_id} --reason …"""
# What is not a terminal has no width of its own.
_PLAIN_WIDTH: Final = 120


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table to be shown. Columns named in ``numbers`` stand to the right.

    With ``blocks`` each row is shown as lines of its own, which cells of several lines need.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[str] = frozenset()
    blocks: bool = False


def console(*, to_stderr: bool = False) -> "Console":
    """Return where people read; plain where that is no terminal."""
    from rich.console import Console

    found = Console(stderr=to_stderr, highlight=False)
    if not found.is_terminal:
        found = Console(stderr=to_stderr, highlight=False, width=_PLAIN_WIDTH)
    return found


def show(answer: Message, *sheets: Sheet, as_json: bool) -> None:
    """Print an answer: as JSON with the protos' own field names, or as ``sheets``.

    Where the change became a proposal, people are told that instead.
    """
    if as_json:
        print_json(as_dict(answer))
        return
    terminal = console()
    if proposal_id := getattr(answer, "proposal_id", ""):
        terminal.print(_PROPOSED.format(proposal_id=proposal_id), soft_wrap=True)
        return
    for sheet in sheets:
        show_sheet(sheet, terminal)


def show_sheet(sheet: Sheet, terminal: "Console") -> None:
    """Print a table; a line for each cell where it is too wide for words to stay whole."""
    from rich.text import Text

    if not sheet.rows:
        terminal.print(Text(f"{sheet.title}: none"), soft_wrap=True)
        return
    widths = column_widths([sheet.columns, *sheet.rows], terminal.width)
    if sheet.blocks or widths is None:
        _show_blocks(sheet, terminal)
    else:
        _show_table(sheet, widths, terminal)


def _show_table(sheet: Sheet, widths: Sequence[int], terminal: "Console") -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    terminal.print(Text(sheet.title, style="bold"), soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD)
    for column, width in zip(sheet.columns, widths, strict=True):
        justify = "right" if column in sheet.numbers else "left"
        table.add_column(column, justify=justify, width=width)
    for row in sheet.rows:
        # Text, not markup: what a record says must not be read as a style.
        cells = map(wrapped, row, widths)
        table.add_row(*map(Text, cells))
    terminal.print(table)


def _show_blocks(sheet: Sheet, terminal: "Console") -> None:
    from rich.text import Text

    terminal.print(Text(sheet.title, style="bold"), soft_wrap=True)
    indent = max(map(len, sheet.columns)) + 4
    for row in sheet.rows:
        lines = [
            f"  {column:{indent - 2}}{cell}".replace("\n", "\n" + " " * indent).rstrip()
            for column, cell in zip(sheet.columns, row, strict=True)
            if cell
        ]
        # The terminal breaks lines, not this: a broken identifier could not be copied.
        terminal.print(Text("\n" + "\n".join(lines)), soft_wrap=True)
    terminal.print()


def as_dict(message: Message) -> dict[str, object]:
    """Return a message as JSON has it, with the protos' own field names.

    Numbers of 0, empty texts and lists are there too: a script reads them without asking first.
    """
    return MessageToDict(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )


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
