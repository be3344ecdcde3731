"""``creditgate`` forked: the first line of its standard input tells its words and environment."""

import json
import os
import sys
from collections.abc import Mapping, Sequence

from gateway.cli.main import app

FAILED = "ended with status "
"""What a command says last that failed, and its status after it."""


def told(words: Sequence[str], environment: Mapping[str, str]) -> bytes:
    """Return that line."""
    line = {"words": list(words), "environment": dict(environment)}
    return json.dumps(line).encode() + b"\n"


def main() -> None:
    """Run the command. Raises SystemExit where it failed."""
    line = json.loads(sys.stdin.readline())
    os.environ.clear()
    os.environ.update(line["environment"])
    try:
        app(line["words"], prog_name="creditgate")
    except SystemExit as ended:
        if ended.code:
            print(f"{FAILED}{ended.code}", flush=True)
            raise
