"""Write the tables of docs/administrators.md that come from the code.

``python docs/generate_tables.py [PAGE]``: the settings from `gateway.config`, the reasons a
record or a row is rejected for from admission and loader. A test fails when they are stale.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from gateway.catalogue.rejection import RejectionReason
from gateway.config import PREFIX, GatewayConfig
from sdk.loading.fault import RowFault

PAGE: Final = Path(__file__).resolve().parent / "administrators.md"
_BLOCK: Final = "<!-- {name}: written by docs/generate_tables.py, do not edit -->"
_END: Final = "<!-- end of {name} -->"


def tables() -> dict[str, str]:
    """Return the text of every table by the name of its place in the page."""
    return {
        "settings": _table(("Setting", "Default", "What it is"), _settings()),
        "rejection reasons": _table(("Reason", "What to do"), _reasons(RejectionReason)),
        "row faults": _table(("Reason", "What to do"), _reasons(RowFault)),
    }


def filled(page: str) -> str:
    """Return the page with its tables as they are now. Raises ValueError without a place."""
    for name, table in tables().items():
        first, last = _BLOCK.format(name=name), _END.format(name=name)
        pattern = re.compile(f"{re.escape(first)}.*?{re.escape(last)}", re.DOTALL)
        whole = f"{first}\n\n{table}\n{last}"
        page, count = pattern.subn(lambda _, whole=whole: whole, page)
        if count != 1:
            raise ValueError(f"the page has no place for {name}, or several")
    return page


def _settings() -> Iterator[Sequence[str]]:
    for name, field in GatewayConfig.model_fields.items():
        default = field.default
        shown = default.get_secret_value() if isinstance(default, SecretStr) else default
        told = "none" if shown is None else f"`{shown}`"
        description = " ".join((field.description or "").split())
        yield f"`{name}`<br>`{PREFIX}{name.upper()}`", told, description.replace("``", "`")


def _reasons(reasons: type[Enum]) -> Iterator[Sequence[str]]:
    for reason in reasons:
        yield f"`{reason.name}`", str(reason.value)


def _table(heads: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    target.write_text(filled(target.read_text(encoding="utf-8")), encoding="utf-8")
