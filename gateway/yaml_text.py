"""YAML as installations and the project write it."""

from typing import Any, Final

import yaml

from gateway.yaml_plain import MERGE, TEXT, mend_of

# In C where the package was built with it, which takes a tenth of the time: policies are read
# at each start.
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class NotPlain(yaml.YAMLError):
    """A document says something in a way that is not taken; the message names line and mend."""

    def __init__(self, node: yaml.Node, mend: str) -> None:
        super().__init__(f"line {node.start_mark.line + 1}: {mend}")


class GivenTwice(NotPlain):
    """A key is given twice in one mapping, so that one of its values would count for nothing."""

    def __init__(self, key: yaml.ScalarNode) -> None:
        super().__init__(key, f"{key.value} is given twice; give it once")


def read_yaml(written: str | bytes) -> Any:
    """Return what a document of plain YAML says, dates as such. Raises yaml.YAMLError where it is
    none, NotPlain where something is written as `yaml_plain` does not take it."""
    loader = _LOADER(written)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _require_plain(node)
        return loader.construct_document(node)
    except RecursionError:
        raise yaml.YAMLError("nested too deeply") from None
    finally:
        loader.dispose()


def _require_plain(root: yaml.Node) -> None:
    """Raise NotPlain for a value that is not taken as it stands, GivenTwice where a mapping has a
    key twice."""
    left, seen = [root], set[int]()
    while left:
        node = left.pop()
        # What is referred to again and again is looked at once.
        if id(node) in seen:
            continue
        seen.add(id(node))
        if mend := mend_of(node):
            raise NotPlain(node, mend)
        if isinstance(node, yaml.SequenceNode):
            left += node.value
        elif isinstance(node, yaml.MappingNode):
            left += (value for _, value in node.value)
            _require_keys_once(node)


def _require_keys_once(mapping: yaml.MappingNode) -> None:
    given = set[tuple[str, str]]()
    for key, _ in mapping.value:
        if key.tag not in {TEXT, MERGE}:
            raise NotPlain(key, "use plain words as keys, or put them in quotes")
        if (key.tag, key.value) in given:
            raise GivenTwice(key)
        given.add((key.tag, key.value))
