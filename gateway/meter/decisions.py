"""Decision ids: what an answer or refusal is known by in receipts, ledger and logs."""

from itertools import count
from secrets import token_hex


class DecisionIds:
    """Makes ids unique over processes and restarts: a random stem and a counter."""

    def __init__(self) -> None:
        self._stem = token_hex(8)
        self._numbers = count(1)

    def next(self) -> str:
        """Return a fresh id."""
        return f"{self._stem}-{next(self._numbers):x}"
