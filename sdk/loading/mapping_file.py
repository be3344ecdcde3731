"""Column mappings read from YAML, faults told with their line; and those that ship."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from sdk.loading.mapping import ColumnMapping

_SHIPPED: Final = Path(__file__).parent / "mappings"
_MOST_BYTES: Final = 1 << 20


class MappingRefused(ValueError):
    """A mapping cannot be used; the message names file, line, key and mend."""


def read_mapping(path: Path) -> ColumnMapping:
    """Read a mapping file. Raises MappingRefused, OSError when it cannot be read."""
    with path.open("rb") as file:
        text = file.read(_MOST_BYTES + 1)
    if len(text) > _MOST_BYTES:
        raise MappingRefused(f"{path} is larger than 1 MiB; is it a mapping?")
    root = _composed(path, text)
    odd = _odd_key(root)
    if odd is not None:
        raise MappingRefused(f"{path}:{odd.start_mark.line + 1}: use plain keys, each once")
    try:
        return ColumnMapping.model_validate(_plain(root))
    except ValidationError as error:
        raise MappingRefused(
            "\n".join(
                f"{path}:{_line_of(root, fault['loc'])}:"
                f" {'.'.join(map(str, fault['loc'])) or 'mapping'}: {fault['msg']}"
                for fault in error.errors(include_input=False, include_url=False)
            )
        ) from None


def shipped_mappings() -> Mapping[str, ColumnMapping]:
    """Return the mappings that come with the project, by name."""
    return {path.stem: read_mapping(path) for path in sorted(_SHIPPED.glob("*.yaml"))}


def _composed(path: Path, text: bytes) -> yaml.MappingNode:
    try:
        # BaseLoader: every scalar stays the text it is, "000000" and "N/A" and "no" alike.
        for event in yaml.parse(text, Loader=yaml.BaseLoader):
            if isinstance(event, yaml.AliasEvent):
                mark = event.start_mark
                line = 1 if mark is None else mark.line + 1
                raise MappingRefused(f"{path}:{line}: write the value out; no aliases here")
        root: Any = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = 1 if mark is None else mark.line + 1
        raise MappingRefused(f"{path}:{line}: no YAML: {error.problem}") from None
    except (yaml.YAMLError, RecursionError):
        raise MappingRefused(f"{path}:1: no YAML; write it in UTF-8, parts not too deep") from None
    if not isinstance(root, yaml.MappingNode):
        raise MappingRefused(f"{path}:1: write a mapping, as those in {_SHIPPED.name}/ are")
    return root


def _plain(node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return {str(_plain(key)): _plain(value) for key, value in _entries(node)}
    if isinstance(node, yaml.SequenceNode):
        items: list[yaml.Node] = node.value
        return [_plain(item) for item in items]
    return node.value


def _entries(node: yaml.MappingNode) -> list[tuple[yaml.Node, yaml.Node]]:
    return node.value


def _odd_key(node: yaml.Node) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in _entries(node):
            if not isinstance(key, yaml.ScalarNode) or key.value in seen:
                return key
            seen.add(key.value)
            if (odd := _odd_key(value)) is not None:
                return odd
    return None


def _line_of(root: yaml.Node, location: Sequence[str | int]) -> int:
    """Return the line of the deepest part of ``location`` that the file has."""
    node, line = root, root.start_mark.line
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in _entries(node) if key.value == part]
            if not found:
                break
            (key, node), *_ = found
            line = key.start_mark.line
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line
        else:
            break
    return line + 1
