"""A QR code as a part of a page: squares, so that it is sharp at any size."""

from typing import Final

import segno
from reportlab.lib.colors import black
from reportlab.platypus import Flowable

_QUIET: Final = 4
"""Modules of empty margin that readers need (ISO/IEC 18004)."""


class QrCode(Flowable):
    """Leads to ``address``; ``side`` is its width and height in points, margin included."""

    def __init__(self, address: str, side: float) -> None:
        super().__init__()
        self._rows = [bytes(row) for row in segno.make_qr(address, error="m").matrix]
        self._module = side / (len(self._rows) + 2 * _QUIET)
        self.width = self.height = side

    def wrap(self, aW: float, aH: float) -> tuple[float, float]:
        """Return its size."""
        return self.width, self.height

    def draw(self) -> None:
        """Draw it."""
        size, top = self._module, self.height
        canvas = self.canv
        canvas.setFillColor(black)
        for row, line in enumerate(self._rows):
            for column, dark in enumerate(line):
                if dark:
                    left = (column + _QUIET) * size
                    below = top - (row + 1 + _QUIET) * size
                    canvas.rect(left, below, size, size, stroke=0, fill=1)
