"""Put the tables into docs/scale.md: ``python -m benchmarks.capacity.page [PAGE]``."""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from benchmarks.capacity.inputs import Load, read_costs
from benchmarks.capacity.tables import tables
from benchmarks.processes import ROOT

PAGE: Final = ROOT / "docs" / "scale.md"
_FIRST: Final = "<!-- {name}: calculated by benchmarks/capacity, do not edit -->"
_LAST: Final = "<!-- end of {name} -->"


def filled(page: str, made: Mapping[str, str]) -> str:
    """Return the page with its tables as they are now. Raises ValueError without a place."""
    for name, table in made.items():
        first, last = _FIRST.format(name=name), _LAST.format(name=name)
        pattern = re.compile(f"{re.escape(first)}.*?{re.escape(last)}", re.DOTALL)
        whole = f"{first}\n\n{table}\n{last}"
        page, count = pattern.subn(lambda _, whole=whole: whole, page)
        if count != 1:
            raise ValueError(f"the page has no place for {name}, or several")
    return page


def show() -> None:
    """Print the tables."""
    for name, table in tables(Load(), read_costs()).items():
        print(f"{name}\n\n{table}")


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    made = tables(Load(), read_costs())
    target.write_text(filled(target.read_text(encoding="utf-8"), made), encoding="utf-8")
