"""Commands as pages spell them: whether the command line would take them."""

import re
import shlex
from pathlib import Path
from typing import Any, Final

from tests.cli.commands import EVERY

_BLOCK: Final = re.compile(r"^ *```[^\n]*\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_CODE: Final = re.compile(r"`+([^`]+)`+")
# Not the user, group or namespace of this name, which an option stands before.
_COMMAND: Final = re.compile(
    r"""(?<!-[a-z] )(?<!--namespace )(?<![\w.-])creditgate ((?:[^|;>)"'\n]|"[^"]*"|'[^']*')+)"""
)
_WORD: Final = re.compile(r"[a-z][a-z-]*")
_OPTION: Final = re.compile(r"--[a-z][a-z-]*")
_NONE: Final = (None, ())
# The first line of a signed note, not a command.
_NOTE: Final = re.compile(r"log [a-z]+ v\d")
_FREE: Final = ("--help", "--install-completion", "--show-completion")


def blocks_of(page: str) -> list[str]:
    """Return what a page's blocks have behind the name of the command, run or not."""
    return [
        command
        for block in _BLOCK.findall(page)
        for command in _COMMAND.findall(block.replace("\\\n", " "))
    ]


def mentions_of(text: str) -> list[str]:
    """Return what stands behind the name of the command in code spans, also where only a group
    of commands and one of them are named."""
    text = _BLOCK.sub("", text).replace(r"\|", "|").replace(r"\`", "`")
    spans = [" ".join(span.split()) for span in _CODE.findall(text)]
    named = [span.removeprefix("creditgate ") for span in spans if span.startswith("creditgate ")]
    return [each for each in named if not _NOTE.fullmatch(each)] + [*filter(_is_of_a_group, spans)]


def fault_of(command: str) -> str:
    """Return why a whole command would not be taken; empty where it would."""
    found, rest = _found(shlex.split(command, comments=True))
    if not _commands(found) and not any(word.startswith("$") for word in rest):
        return _parsed(found, rest)
    return _named(found, rest)


def mention_fault_of(command: str) -> str:
    """Return which command or option there is not; what a mention leaves out is not missed."""
    return _named(*_found(command.replace("'", "").replace('"', "").split()))


def sources(folder: Path) -> str:
    """Return the Python sources below a folder, in which messages and docstrings name commands."""
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.py")))


def _is_of_a_group(span: str) -> bool:
    first, _, rest = span.partition(" ")
    second = rest.partition(" ")[0]
    return bool(_WORD.fullmatch(second)) and bool(_commands(_commands(EVERY).get(first)))


def _found(words: list[str]) -> tuple[Any, list[str]]:
    found: Any = EVERY
    while words and words[0] in _commands(found):
        found = _commands(found)[words[0]]
        words = words[1:]
    return found, words


def _commands(found: Any) -> dict[str, Any]:
    return getattr(found, "commands", {})


def _parsed(found: Any, words: list[str]) -> str:
    parser = found.make_parser(found.context_class(found))
    try:
        values, left, _ = parser.parse_args(words)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    missing = [
        each.name for each in found.params if each.required and values.get(each.name) in _NONE
    ]
    return f"left over: {left}" * bool(left) + f"missing: {missing}" * bool(missing)


def _named(found: Any, words: list[str]) -> str:
    if words and _commands(found) and words[0] not in _FREE:
        # Alternatives such as approve|reject are all there.
        unknown = set(words[0].split("|")) - set(_commands(found))
        return f"no command {words[0]}" if unknown else ""
    options = {name for each in found.params for name in (*each.opts, *each.secondary_opts)}
    asked = {word.partition("=")[0] for word in words}
    unknown = set(filter(_OPTION.fullmatch, asked)) - options - set(_FREE)
    return f"no option {sorted(unknown)}" if unknown else ""
