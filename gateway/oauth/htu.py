"""URIs as proofs name them: normalised, so that equal ones compare equal (RFC 3986)."""

import re
from typing import Final
from urllib.parse import urlsplit

_DEFAULT_PORT: Final = {"https": 443, "http": 80}
_ESCAPED: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_ALLOWED: Final = re.compile(r"[!#$%&'()*+,\-./:;=?@\[\]_~A-Za-z0-9]+")


def normalised_uri(uri: str) -> str:
    """Return an http or https URI without query and fragment in its one spelling.

    RFC 9449 section 4.3: servers should use the normalisation by syntax and by scheme
    of RFC 3986 (sections 6.2.2 and 6.2.3) before they compare. Raises ValueError for
    anything that is no such URI or has a user in it.
    """
    if not _ALLOWED.fullmatch(uri):
        raise ValueError("the URI has characters that no URI has")
    parts = urlsplit(uri)
    default = _DEFAULT_PORT.get(parts.scheme)
    if default is None or not parts.hostname or "@" in parts.netloc:
        raise ValueError("the URI is no plain http or https URI")
    host = _unescaped(parts.hostname).lower()
    shown = f"[{host}]" if ":" in host else host
    port = parts.port
    authority = shown if port in (None, default) else f"{shown}:{port}"
    return f"{parts.scheme}://{authority}{_without_dots(_unescaped(parts.path)) or '/'}"


def _unescaped(text: str) -> str:
    """Decode what needs no escape, and write the other escapes in capitals."""

    def plain(match: re.Match[str]) -> str:
        character = chr(int(match[1], 16))
        return character if character in _UNRESERVED else match[0].upper()

    return _ESCAPED.sub(plain, text)


def _without_dots(path: str) -> str:
    """Remove the segments "." and ".." (section 5.2.4)."""
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments and segments[-1] in (".", ".."):
        kept.append("")
    return "".join(f"/{segment}" for segment in kept)
