"""Canonical content is taken apart into the very bytes it is made of, and nothing else is."""

from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from creditgate.transparency.content import members_of, object_of

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
PLAIN = st.text(max_size=20) | st.integers(-(2**53) + 1, 2**53 - 1) | st.booleans()
VALUES = (
    PLAIN
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.lists(PLAIN, max_size=3)
    | st.dictionaries(NAMES, PLAIN, max_size=3)
)


@given(st.dictionaries(NAMES, VALUES, max_size=8))
def test_members_are_the_bytes_of_canonical_content(content: dict[str, Any]) -> None:
    text = rfc8785.dumps(content).decode()
    members = members_of(text)
    assert [member.name for member in members] == sorted(content)
    assert object_of(members) == text
    for member in members:
        assert member.value.encode() == rfc8785.dumps(content[member.name])
        assert member.text in text


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "}",
        "{}}",
        "[]",
        '"a"',
        '{"a"}',
        '{"a":1',
        '{"a":1,}',
        '{,"a":1}',
        '{"a":1}}',
        '{"a":1} ',
        ' {"a":1}',
        '{"a" :1}',
        '{"a":1, "b":2}',
        '{"a":1;"b":2}',
        '{"a";1}',
        '{"b":1,"a":2}',
        '{"a":1,"a":2}',
        '{"\\u0061":1}',
        "{1:2}",
        '{1:2,"a":3}',
        '{["a"]:1}',
        '{"a":' + "[" * 100_000 + "}",
        '{"a":1e}',
        '{"a":01}',
        '{"a":-}',
        '{"a":"\\x"}',
        '{"a":"\n"}',
        '{"a":{"b":1}',
        '{"a":1}"b":2}',
        '{"a":1,"b":{"c":2}',
    ],
)
def test_what_is_not_canonical_is_refused(content: str) -> None:
    with pytest.raises(ValueError, match="canonical"):
        members_of(content)


@given(st.text(alphabet='{}[]":,ab1\\ ', max_size=12))
def test_what_is_taken_apart_joins_to_the_same(content: str) -> None:
    try:
        members = members_of(content)
    except ValueError:
        return
    assert object_of(members) == content
