"""Texts of error responses."""


def description(text: str) -> str:
    """Return ``text`` as an error_description may read.

    RFC 6749 section 5.2: printable ASCII, neither double quotes nor backslashes.
    """
    plain = text.replace('"', "'").replace("\\", "/")
    return "".join(sign if " " <= sign <= "~" else "?" for sign in plain)
