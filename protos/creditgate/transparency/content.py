"""Canonical content taken apart into its members, each in its very bytes. Pure.

Canonical content (RFC 8785) has no blanks, and names of fields need no escapes, so a member
is found by its ends and can be cut out and digested without being written anew.
"""

import re
from json import JSONDecoder
from operator import lt
from typing import Final, NamedTuple

_DECODER: Final = JSONDecoder()
_NOT_CANONICAL: Final = "the content is not canonical JSON"
# Members that are a string or a whole number, as nearly all are: found at once, where the decoder is
# called for each name and each value.
_PLAIN_MEMBERS: Final = re.compile(
    r'"([^"\\\x00-\x1f]*+)":'
    r'("(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-f]{4}))*+"|-?(?:0|[1-9][0-9]{0,17}+))(?=[,}])'
)


class Member(NamedTuple):
    """One member of content: its name, and its value as it is written."""

    name: str
    value: str

    @property
    def text(self) -> str:
        """The member as it stands in the content."""
        return f'"{self.name}":{self.value}'


def members_of(content: str) -> list[Member]:
    """Return the members of a canonical object, in order.

    Only what joins to the same bytes again is taken: `object_of` of the members is
    ``content``. Raises ValueError for all else, and for names that are not in order.
    """
    members = [*map(Member._make, _PLAIN_MEMBERS.findall(content))]
    # What was passed over is missing in it.
    if object_of(members) != content:
        members = _decoded(content)
    names = [name for name, _ in members]
    if not all(map(lt, names, names[1:])):
        raise ValueError(_NOT_CANONICAL)
    return members


def _decoded(content: str) -> list[Member]:
    members: list[Member] = []
    at = 1
    try:
        while at < len(content) - 1:
            if content[at] != '"':
                raise ValueError(_NOT_CANONICAL)
            name, colon = _DECODER.raw_decode(content, at)
            _, end = _DECODER.raw_decode(content, colon + 1)
            members.append(Member(name, content[colon + 1 : end]))
            at = end + 1
    except (ValueError, RecursionError):
        raise ValueError(_NOT_CANONICAL) from None
    if object_of(members) != content:
        raise ValueError(_NOT_CANONICAL)
    return members


def object_of(members: list[Member]) -> str:
    """Return the canonical object of these members, given in order of their names."""
    return "{" + ",".join([f'"{name}":{value}' for name, value in members]) + "}"
