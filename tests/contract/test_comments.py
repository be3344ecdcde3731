"""Nothing in the contract goes unexplained."""

import re
from collections.abc import Iterator

from docs.documented import File, documented_files

FILES = documented_files()
NAMED_SCOPE = re.compile(r"Needs scope ([a-z.]+:[a-z]+)\.")


def explained(file: File) -> Iterator[tuple[str, str]]:
    """Yield name and comment of everything in a file that must have one."""
    for service in file.services:
        yield service.name, service.comment
        for method in service.methods:
            yield f"{service.name}.{method.name}", method.comment
    for message in file.messages:
        yield message.name, message.comment
        yield from ((f"{message.name}.{field.name}", field.comment) for field in message.fields)
        yield from ((f"{message.name}.{name}", comment) for name, comment in message.choices)
    for enum in file.enums:
        yield enum.name, enum.comment
        yield from ((f"{enum.name}.{value.name}", value.comment) for value in enum.values)


def test_everything_in_the_contract_has_a_comment() -> None:
    silent = [name for file in FILES for name, comment in explained(file) if not comment]
    assert not silent


def test_comments_are_sentences() -> None:
    ragged = [
        name
        for file in FILES
        for name, comment in explained(file)
        if comment and (not comment.endswith((".", '."')) or comment[0].islower())
    ]
    assert not ragged


def test_a_scope_named_in_a_comment_is_the_scope_of_the_method() -> None:
    methods = [method for file in FILES for service in file.services for method in service.methods]
    named = {
        method.name: (found[1], method.scope)
        for method in methods
        if (found := NAMED_SCOPE.search(method.comment))
    }
    assert named
    assert {name: pair for name, pair in named.items() if pair[0] != pair[1]} == {}
