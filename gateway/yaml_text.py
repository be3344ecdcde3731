"""YAML as installations and the project write it."""

from typing import Any, Final

import yaml

# In C where the package was built with it, which takes a tenth of the time: policies are read
# at each start.
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class GivenTwice(yaml.YAMLError):
    """A key is given twice in one mapping, so that one of its values would count for nothing."""

    def __init__(self, key: str, line: int) -> None:
        super().__init__(f"{key} is given twice, again in line {line}; give it once")


def read_yaml(written: str | bytes) -> Any:
    """Return what a document of plain YAML says. Raises yaml.YAMLError where it is none, GivenTwice
    where a key is."""
    loader = _LOADER(written)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _require_once(node)
        return loader.construct_document(node)
    except RecursionError:
        raise yaml.YAMLError("nested too deeply") from None
    finally:
        loader.dispose()


def _require_once(root: yaml.Node) -> None:
    """Raise GivenTwice where a mapping has a key twice."""
    left, seen = [root], set[int]()
    while left:
        node = left.pop()
        # What is referred to again and again is looked at once.
        if id(node) in seen or isinstance(node, yaml.ScalarNode):
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            left += node.value
            continue
        keys = set[tuple[str, str]]()
        for key, value in node.value:
            left += key, value
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in keys:
                    raise GivenTwice(key.value, key.start_mark.line + 1)
                keys.add((key.tag, key.value))
