"""Write the reference pages: ``python docs/generate_reference.py [OUTPUT_DIR]``.

Pages come from the protos, their comments and the refusal table alone; a test
fails when those in docs/reference are stale.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Final

from documented import Enum, Field, File, Message, Method, Service, documented_files

from creditgate.refusal import STATUS, reason_name
from creditgate.v1.refusal_pb2 import RefusalReason

REFERENCE: Final = Path(__file__).resolve().parent / "reference"
_NOTE: Final = "<!-- Written by docs/generate_reference.py from the protos: do not edit. -->"
_OWN_PAGES: Final = frozenset({"authorization", "refusal"})

Pages = Mapping[str, str]
"""Page file name by message or enum name."""


def pages() -> dict[str, str]:
    """Return the text of every page by file name."""
    files = documented_files()
    shown = tuple(file for file in files if file.name not in _OWN_PAGES)
    homes = {
        thing.name: _page_name(file) for file in shown for thing in (*file.messages, *file.enums)
    }
    # What a method asks and answers is told with the method, wherever it is defined.
    homes |= {name: _page_name(file) for file in shown for name in _wired(file)}
    homes["RefusalReason"] = "refusals.md"
    messages = {message.name: message for file in shown for message in file.messages}
    wired = {name for file in shown for name in _wired(file)}
    refusal = next(file for file in files if file.name == "refusal")
    texts = {
        _page_name(file): "\n".join(_file_page(file, homes, messages, wired)) for file in shown
    }
    texts["refusals.md"] = "\n".join(_refusal_page(refusal))
    texts["scopes.md"] = "\n".join(_scope_page(files))
    texts["README.md"] = "\n".join(_index_page(files))
    return {name: text.rstrip("\n") + "\n" for name, text in texts.items()}


def write(output: Path) -> None:
    """Write every page below ``output`` and remove pages of things that are gone."""
    texts = pages()
    output.mkdir(parents=True, exist_ok=True)
    for stale in set(output.glob("*.md")) - {output / name for name in texts}:
        stale.unlink()
    for name, text in texts.items():
        (output / name).write_text(text, encoding="utf-8")


def _page_name(file: File) -> str:
    return file.name.replace("_", "-") + ".md"


def _title(file: File) -> str:
    if file.services:
        return file.services[0].name
    return file.name.replace("_", " ").capitalize()


def _wired(file: File) -> Iterator[str]:
    """Yield the messages that a file's methods ask and answer."""
    for service in file.services:
        for method in service.methods:
            yield from (method.request, method.response)


def _file_page(
    file: File, homes: Pages, messages: Mapping[str, Message], wired: Set[str]
) -> Iterator[str]:
    yield from (f"# {_title(file)}", "", _NOTE, "")
    if file.comment:
        yield from (_text(file.comment), "")
    for service in file.services:
        yield from _service(service, messages, homes)
    rest = [message for message in file.messages if message.name not in wired]
    if rest:
        yield from ("## Messages", "")
    for message in rest:
        yield from (f"### {message.name}", "", *_message(message, homes))
    if file.enums:
        yield from ("## Enums", "")
    for enum in file.enums:
        yield from (f"### {enum.name}", "", *_enum(enum))


def _service(service: Service, messages: Mapping[str, Message], homes: Pages) -> Iterator[str]:
    yield from (_text(service.comment), "")
    yield from _table(
        ("Method", "Kind", "Scope"),
        [
            (f"[{method.name}](#{method.name.lower()})", _kind(method), _scope(method))
            for method in service.methods
        ],
    )
    yield from ("What this release serves is listed in [status](../status.md).", "")
    for method in service.methods:
        yield from (f"## {method.name}", "", _text(method.comment), "")
        yield from (f"`/creditgate.v1.{service.name}/{method.name}`, {_kind(method)}.", "")
        for name in (method.request, method.response):
            yield from (f"### {name}", "", *_message(messages[name], homes))


def _kind(method: Method) -> str:
    kinds = {
        (False, False): "unary",
        (True, False): "client stream",
        (False, True): "server stream",
        (True, True): "bidirectional stream",
    }
    return kinds[method.request_streams, method.response_streams]


def _scope(method: Method) -> str:
    return f"`{method.scope}`" if method.scope else "none: public"


def _message(message: Message, homes: Pages) -> Iterator[str]:
    yield from (_text(message.comment), "")
    for name, comment in message.choices:
        yield from (f"At most one of the fields marked *{name}* is set. {_text(comment)}", "")
    if not message.fields:
        yield from ("No fields.", "")
        return
    yield from _table(
        ("Field", "Type", "No.", "Meaning"),
        [
            (f"`{field.name}`", _type(field, homes), str(field.number), _text(field.comment))
            for field in message.fields
        ],
    )


def _type(field: Field, homes: Pages) -> str:
    name = field.type
    shown = f"[{name}]({homes[name]}#{name.lower()})" if name in homes else f"`{name}`"
    repeated = "repeated " if field.repeated else ""
    return f"{repeated}{shown}{f', *{field.choice}*' if field.choice else ''}"


def _enum(enum: Enum) -> Iterator[str]:
    yield from (_text(enum.comment), "")
    yield from _table(
        ("Value", "No.", "Meaning"),
        [(f"`{value.name}`", str(value.number), _text(value.comment)) for value in enum.values],
    )


def _refusal_page(file: File) -> Iterator[str]:
    reasons = next(enum for enum in file.enums if enum.name == "RefusalReason")
    yield from ("# Refusals", "", _NOTE, "", _text(file.comment), "")
    yield from ("## RefusalReason", "", _text(reasons.comment), "")
    yield from _table(
        ("Reason", "No.", "gRPC status", "Meaning"),
        [
            (
                f"`{reason_name(RefusalReason.Value(value.name))}`",
                str(value.number),
                f"`{STATUS[value.number].name}`",
                _text(value.comment),
            )
            for value in reasons.values
            if value.number
        ],
    )


def _scope_page(files: Sequence[File]) -> Iterator[str]:
    authorization = next(file for file in files if file.name == "authorization")
    yield from ("# Scopes", "", _NOTE, "", _text(authorization.comment), "")
    homes: dict[str, list[str]] = {}
    for file in files:
        for service in file.services:
            for method in service.methods:
                link = f"[{service.name}.{method.name}]({_page_name(file)}#{method.name.lower()})"
                homes.setdefault(method.scope, []).append(link)
    public = homes.pop("", [])
    yield from _table(
        ("Scope", "Methods"),
        [(f"`{scope}`", ", ".join(homes[scope])) for scope in sorted(homes)],
    )
    yield from (f"Without a token: {', '.join(public)}.", "")


def _index_page(files: Sequence[File]) -> Iterator[str]:
    yield from ("# Reference", "", _NOTE, "")
    yield from (
        "Every service, message and value of the contract `creditgate.v1`, as the "
        "protos describe them.",
        "",
    )
    served = [(file, service) for file in files for service in file.services]
    yield from _table(
        ("Service", "What it is for"),
        [
            (f"[{service.name}]({_page_name(file)})", _first_sentence(service.comment))
            for file, service in served
        ],
    )
    shared = [file for file in files if not file.services and file.name not in _OWN_PAGES]
    yield from (f"- [{_title(file)}]({_page_name(file)})" for file in shared)
    yield from ("- [Refusals](refusals.md)", "- [Scopes](scopes.md)")
    yield from ("- [What this release serves](../status.md)", "")


def _first_sentence(comment: str) -> str:
    return _text(comment.split(". ", maxsplit=1)[0].removesuffix(".") + ".")


def _text(comment: str) -> str:
    """Return prose with the characters Markdown would take for marks escaped."""
    escaped = comment.replace("\\", "\\\\")
    for mark in "|*<`":
        escaped = escaped.replace(mark, f"\\{mark}")
    return escaped


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield _row(heads)
    yield _row(["---"] * len(heads))
    yield from (_row(row) for row in rows)
    yield ""


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else REFERENCE)
