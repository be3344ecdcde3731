"""Whether what a program prints came to be written."""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from io import TextIOWrapper

from gateway.cli.failures import FAILED


@contextmanager
def written_out() -> Generator[None]:
    """Run a program, which ends by SystemExit; where standard output cannot be written to, as on a
    full disk, tell so in one line and end FAILED. What its encoding has no letters for is escaped,
    as JSON escapes it too."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        _silence()
        raise SystemExit(FAILED) from None
    except OSError as error:
        _silence()
        print(f"Standard output cannot be written: {error.strerror}.", file=sys.stderr)  # noqa: T201
        raise SystemExit(FAILED) from None


def _silence() -> None:
    """Let what is left to write go nowhere, or Python would try once more as it ends, and tell."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
