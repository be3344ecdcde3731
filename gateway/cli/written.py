"""Whether what a program prints came to be written."""

import codecs
import json
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Final

from gateway.cli.failures import FAILED

_AS_JSON: Final = "creditgate.json"


@contextmanager
def written_out() -> Generator[None]:
    """Run a program, which ends by SystemExit; where standard output cannot be written to, as on a
    full disk, tell so in one line and end FAILED. What its encoding has no letters for is escaped
    as JSON escapes it, so that JSON stays JSON."""
    if isinstance(sys.stdout, TextIOWrapper):
        codecs.register_error(_AS_JSON, _escaped)
        sys.stdout.reconfigure(errors=_AS_JSON)
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


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """Be the handler of a codec's errors that writes letters as JSON's escapes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


def _silence() -> None:
    """Let what is left to write go nowhere, or Python would try once more as it ends, and tell."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
