"""Vectors published by the transparency community; each file says from where."""

import json
from pathlib import Path
from typing import Any


def vectors(name: str) -> dict[str, Any]:
    """Return the vectors of one file."""
    document: dict[str, Any] = json.loads(Path(__file__).with_name(f"{name}.json").read_bytes())
    return document
