"""The catalogue as a readable YAML file, every fault told with its line.

The file is a mapping with one key, ``items``: a list of items with the fields of
`model.CatalogueItem`, enums by name (``openness: PUBLIC``). Files are whole: aliases and
keys named twice are refused, so that what is read is what is seen.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from creditgate.v1.catalogue_service_pb2 import ContentFieldType
from creditgate.v1.vocabulary_pb2 import Openness, Severity, SubjectType
from gateway.catalogue.faults import Fault, Where, faults_of, path_of
from gateway.catalogue.model import CatalogueItem
from gateway.catalogue.titles import title_faults
from gateway.yaml_plain import TEXT, mend_of
from operators.shapes import ProtoEnum

NATIONAL: Final = Path(__file__).with_name("national.yaml")
"""The catalogue the gateway ships with."""

MOST_BYTES: Final = 4 << 20
_MOST_TOLD: Final = 100
_NO_VALUE: Final = -1


class FileFault(NamedTuple):
    """One fault of a file; ``line`` from 1, ``place`` a path such as ``items[0].code``."""

    line: int
    place: str
    mend: str

    def __str__(self) -> str:
        return (
            f"line {self.line}: {self.place}: {self.mend}"
            if self.place
            else (f"line {self.line}: {self.mend}")
        )


class CatalogueFileRefused(ValueError):
    """A catalogue file is not taken; ``faults`` are all that is wrong, by line."""

    def __init__(self, faults: Iterable[FileFault]) -> None:
        self.faults = tuple(sorted(faults))
        told = [str(fault) for fault in self.faults[:_MOST_TOLD]]
        if len(self.faults) > _MOST_TOLD:
            told.append(f"and {len(self.faults) - _MOST_TOLD} more")
        super().__init__("The catalogue file is not valid.\n" + "\n".join(told))


class CatalogueFile:
    """A catalogue file as it was read: its items in order, and the line of each."""

    def __init__(self, items: tuple[CatalogueItem, ...], document: "_Document") -> None:
        self.items = items
        self._document = document

    def fault(self, index: int, where: Where, mend: str) -> FileFault:
        """Return a fault of the item at ``index``, from 0; ``where`` is within the item."""
        place = ("items", index, *where)
        return FileFault(self._document.line(place), path_of(place), mend)


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    items: tuple[CatalogueItem, ...]


def read_catalogue(path: Path) -> tuple[CatalogueItem, ...]:
    """Return the items of a file in its order. Raises CatalogueFileRefused, OSError."""
    return read_catalogue_file(path).items


def read_catalogue_file(path: Path) -> CatalogueFile:
    """Return a file whole. Raises CatalogueFileRefused, OSError."""
    with path.open("rb") as file:
        written = file.read(MOST_BYTES + 1)
    if len(written) > MOST_BYTES:
        raise CatalogueFileRefused([FileFault(1, "", f"use a file of at most {MOST_BYTES} bytes")])
    try:
        return _parsed(written.decode())
    except UnicodeDecodeError as error:
        line = written.count(b"\n", 0, error.start) + 1
        raise CatalogueFileRefused([FileFault(line, "", "save the file as UTF-8")]) from None


def parse_catalogue(text: str) -> tuple[CatalogueItem, ...]:
    """Return the items of a catalogue file's text. Raises CatalogueFileRefused."""
    return _parsed(text).items


def _parsed(text: str) -> CatalogueFile:
    document = _Document(text)
    faults = list(document.faults)
    items: tuple[CatalogueItem, ...] = ()
    try:
        items = _File.model_validate(document.content).items
    except ValidationError as error:
        told = {fault.where for fault in faults}
        faults += (fault for fault in faults_of(error) if fault.where not in told)
    first: dict[str, int] = {}
    for index, item in enumerate(items):
        line = document.line(("items", index, "code"))
        if item.code in first:
            mend = f"give each item its own code: this one stands on line {first[item.code]}"
            faults.append(Fault(("items", index, "code"), mend))
        first.setdefault(item.code, line)
        faults += (Fault(("items", index, *where), mend) for where, mend in title_faults(item))
    if faults:
        raise CatalogueFileRefused(
            FileFault(document.line(where), path_of(where), mend) for where, mend in faults
        )
    return CatalogueFile(items, document)


class _Loader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(
                problem="write it out: aliases are not taken",
                problem_mark=self.peek_event().start_mark,
            )
        return super().compose_node(parent, index)


class _Document:
    """A YAML text as plain values, with the line of each."""

    def __init__(self, text: str) -> None:
        self.faults: list[Fault] = []
        self._lines: dict[Where, int] = {(): 1}
        try:
            self._loader = _Loader(text)
            root = self._loader.get_single_node()
            self.content = None if root is None else self._plain(root, ())
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            line = 1 if mark is None else mark.line + 1
            fault = FileFault(line, "", error.problem or "this is no YAML")
            raise CatalogueFileRefused([fault]) from None
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            fault = FileFault(line, "", "take out the control character")
            raise CatalogueFileRefused([fault]) from None
        except RecursionError:
            fault = FileFault(1, "", "lists and mappings lie too deep in each other")
            raise CatalogueFileRefused([fault]) from None

    def line(self, where: Where) -> int:
        """Return the line of a place, or of the nearest one around it."""
        while where not in self._lines:
            where = where[:-1]
        return self._lines[where]

    def _plain(self, node: yaml.Node, where: Where) -> object:
        self._lines.setdefault(where, node.start_mark.line + 1)
        if mend := mend_of(node):
            self.faults.append(Fault(where, mend))
            return None
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(child, (*where, i)) for i, child in enumerate(node.value)]
        if not isinstance(node, yaml.MappingNode):
            return self._number(where, self._loader.construct_object(node))
        members: dict[str, object] = {}
        for key_node, value_node in node.value:
            key, line = str(key_node.value), key_node.start_mark.line + 1
            below = (*where, key)
            if key_node.tag != TEXT:
                self.faults.append(Fault(where, "use plain words as keys"))
            elif key in members:
                self.faults.append(
                    Fault(below, f"keep one of the two: the other is on line {line}")
                )
            else:
                self._lines[below] = line
                members[key] = self._plain(value_node, below)
        return members

    def _number(self, where: Where, value: object) -> object:
        """Return the number of an enum value where a name of one belongs, else ``value``."""
        match where:
            case ("items", int(), "openness"):
                names = _names(Openness)
            case ("items", int(), "subject_types", int()):
                names = _names(SubjectType)
            case ("items", int(), "period_rules", int(), "severity"):
                names = _names(Severity)
            case ("items", int(), "content_fields", int(), "type"):
                names = _names(ContentFieldType)
            case ("items", int(), "version" | "changed_at"):
                self.faults.append(Fault(where, "leave it out: the log counts versions itself"))
                return 0
            case _:
                return value
        if not isinstance(value, str) or value not in names:
            self.faults.append(Fault(where, "use one of " + ", ".join(names)))
            return _NO_VALUE
        return names[value]


def _names(enum: ProtoEnum) -> dict[str, int]:
    """Return the stated values of ``enum`` by short name, as in PUBLIC for OPENNESS_PUBLIC."""
    values = [(name, number) for name, number in enum.items() if number]
    unstated = next(name for name, number in enum.items() if not number)
    prefix = unstated.removesuffix("UNSPECIFIED")
    return {name.removeprefix(prefix): number for name, number in values}
