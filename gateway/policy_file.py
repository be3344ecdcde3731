"""Policies as files: YAML of bounded size, each fault told with its mend."""

from datetime import date
from json import JSONEncoder
from pathlib import Path
from typing import Final, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from gateway.catalogue.faults import faults_of, path_of
from gateway.config import ConfigRefused
from gateway.yaml_text import NotPlain, read_yaml

_MOST_BYTES: Final = 64 << 10
_MOST_CHARACTERS: Final = 1 << 20
"""Of a policy with all that it refers to written out."""
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
        # Strictly, and as JSON, whose text may be a duration or a date: else 7 and true were seconds.
        return kind.model_validate_json(_as_json(read_yaml(written)), strict=True)
    except OSError as error:
        raise refused(f"{file} cannot be read ({error.strerror}); mend {setting}") from None
    except NotPlain as odd:
        raise refused(f"{file}: {odd}") from None
    except yaml.YAMLError:
        raise refused(f"{file} is no YAML") from None
    except ValidationError as error:
        told = "\n".join(f"  {path_of(at) or 'policy'}: {mend}" for at, mend in faults_of(error))
        raise refused(f"{file} is no policy:\n{told}") from None


def _as_json(policy: object) -> str:
    """Return a policy as JSON. Raises yaml.YAMLError where it holds itself, or is too long."""
    pieces, left = list[str](), _MOST_CHARACTERS
    try:
        # By pieces: a few aliases of aliases would make more than there is room for.
        for piece in JSONEncoder(default=date.isoformat).iterencode(policy):
            pieces.append(piece)
            left -= len(piece)
            if left < 0:
                raise yaml.YAMLError("written out it is too long")
    except (ValueError, RecursionError):
        raise yaml.YAMLError("nested without end") from None
    return "".join(pieces)
