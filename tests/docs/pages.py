"""Pages as scripts: the blocks of a page that are marked to be run, in their order.

A block whose info string is ``sh run`` or ``python run`` is run; Markdown shows it like any
other. Python blocks are handed to the interpreter.
"""

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
DOCS: Final = ROOT / "docs"
_BLOCK: Final = re.compile(r"^```(sh|python) run\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_GRPC: Final = "127.0.0.1:50051"


def script(page: Path, grpc: str) -> str:
    """Return the page's commands as one shell script.

    ``grpc`` is where the gateway answers: it takes the place of the address by default.
    """
    blocks = _BLOCK.findall(page.read_text(encoding="utf-8"))
    commands = [
        body if language == "sh" else f"python - <<'END_OF_PYTHON'\n{body}END_OF_PYTHON\n"
        for language, body in blocks
    ]
    return "set -eu\n" + "".join(commands).replace(_GRPC, grpc)


def named_in(page: Path, pattern: str) -> set[str]:
    """Return what matches the pattern's only group in a page."""
    return set(re.findall(pattern, page.read_text(encoding="utf-8"), re.MULTILINE))
