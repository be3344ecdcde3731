"""Policies as files: YAML of bounded size, each fault told with its mend."""

from pathlib import Path
from typing import Final, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from gateway.catalogue.faults import faults_of, path_of
from gateway.config import ConfigRefused
from gateway.yaml_text import GivenTwice, read_yaml

_MOST_BYTES: Final = 64 << 10
_Policy = TypeVar("_Policy", bound=BaseModel)


def read_policy_file(
    kind: type[_Policy], file: Path, setting: str, refused: type[ConfigRefused] = ConfigRefused
) -> _Policy:
    """Return the policy in ``file``, which ``setting`` names.

    Raises ``refused``, whose message names each fault and its mend.
    """
    try:
        with file.open("rb") as opened:
            written = opened.read(_MOST_BYTES + 1)
        if len(written) > _MOST_BYTES:
            raise refused(f"{file}: use a file of at most {_MOST_BYTES} bytes")
        return kind.model_validate(read_yaml(written))
    except OSError as error:
        raise refused(f"{file} cannot be read ({error.strerror}); mend {setting}") from None
    except GivenTwice as twice:
        raise refused(f"{file}: {twice}") from None
    except yaml.YAMLError:
        raise refused(f"{file} is no YAML") from None
    except ValidationError as error:
        told = "\n".join(f"  {path_of(at) or 'policy'}: {mend}" for at, mend in faults_of(error))
        raise refused(f"{file} is no policy:\n{told}") from None
