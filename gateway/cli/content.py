"""A record's content as the gateway takes it: a flat JSON object in RFC 8785 form."""

import json
from pathlib import Path
from typing import Any, NoReturn

from gateway.cli.failures import CommandFailed


def canonical_json(content: object) -> bytes:
    """Return content of ASCII keys, texts, whole numbers and booleans as RFC 8785 has it.

    Raises UnicodeEncodeError for a text that is none (a lone surrogate).
    """
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return text.encode()


def read_content(file: Path) -> bytes:
    """Return a file's content in canonical form. Raises CommandFailed, OSError."""
    try:
        content: Any = json.loads(
            file.read_bytes(), parse_float=_no_fraction, parse_constant=_no_fraction
        )
        return canonical_json(content)
    except ValueError as error:
        raise CommandFailed(f"{file} holds no JSON of texts and whole numbers: {error}") from None


def shown_content(content: bytes) -> str:
    """Return a record's content as people read it, a line for each field."""
    text = content.decode("utf-8", "replace")
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    except ValueError:
        return text


def _no_fraction(text: str) -> NoReturn:
    raise ValueError(f"{text} is no whole number")
