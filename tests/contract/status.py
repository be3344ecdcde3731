"""What docs/status.md promises of each method."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

STATUS_PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "status.md"
_STATES: Final = ("served", "federation", "later")
_ROW: Final = re.compile(r"\| `(?P<method>\w+/\w+)` \| (?P<state>\w+) \|")


def documented_status(page: Path = STATUS_PAGE) -> Mapping[str, bool]:
    """Return, by ``Service/Method``, whether the page says that it is served everywhere, and
    not in a federation alone.

    Raises ValueError for a row that names a method twice or a state other than
    ``served``, ``federation`` and ``later``.
    """
    states: dict[str, bool] = {}
    for line in page.read_text(encoding="utf-8").splitlines():
        if not line.startswith("| `"):
            continue
        row = _ROW.fullmatch(line)
        if row is None or row["state"] not in _STATES or row["method"] in states:
            raise ValueError(f"{page.name}: cannot use the row {line!r}")
        states[row["method"]] = row["state"] == "served"
    return states
