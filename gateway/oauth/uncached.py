"""The header of answers that are for who asked alone (RFC 6749 section 5.1, RFC 9111)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

NO_STORE: Final[Mapping[str, str]] = MappingProxyType({"Cache-Control": "no-store"})
"""Nobody on the way, nor the browser, keeps such an answer."""
