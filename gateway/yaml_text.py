"""YAML as installations and the project write it."""

from typing import Any, Final

import yaml

# In C where the package was built with it, which takes a tenth of the time: policies are read
# at each start.
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(written: str | bytes) -> Any:
    """Return what a document of plain YAML says. Raises yaml.YAMLError where it is none."""
    try:
        return yaml.load(written, Loader=_LOADER)  # noqa: S506 - a safe one
    except RecursionError:
        raise yaml.YAMLError("nested too deeply") from None
