"""How wide a table's columns are, so that no word of it, such as an identifier, is broken.

Pure: what does not fit is told, and is then shown as blocks of lines instead.
"""

from collections.abc import Sequence

# What lies around and between columns: a blank at each side of a cell, and rules.
_AROUND_CELL = 3
_AROUND_TABLE = 1


def column_widths(rows: Sequence[Sequence[str]], available: int) -> list[int] | None:
    """Return each column's width in terminal cells, ``rows`` being the heads and all rows.

    Columns of several words give way first, never below their longest word. None when the
    table is then still wider than ``available``.
    """
    columns = list(zip(*rows, strict=True))
    widths = [max(map(_width, column)) for column in columns]
    least = [max(map(_longest_word, column)) for column in columns]
    over = sum(widths) + _AROUND_CELL * len(widths) + _AROUND_TABLE - available
    while over > 0:
        room = [width - floor for width, floor in zip(widths, least, strict=True)]
        if not any(room):
            return None
        # The widest that can give way gives way, a cell at a time.
        giving = max(range(len(widths)), key=lambda index: (room[index] > 0, widths[index]))
        widths[giving] -= 1
        over -= 1
    return widths


def wrapped(text: str, width: int) -> str:
    """Return ``text`` in lines of at most ``width`` cells, broken between words only.

    rich would do so, but cuts a line whose wide characters end right at the column's edge.
    """
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and _width(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines)


def _width(text: str) -> int:
    from rich.cells import cell_len

    return max(map(cell_len, text.split("\n")))


def _longest_word(text: str) -> int:
    return max(map(_width, text.split()), default=0)
