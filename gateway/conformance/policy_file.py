"""The enforcement policy as a file: the shipped one, or an installation's own."""

from pathlib import Path
from typing import Final

import yaml
from pydantic import ValidationError

from gateway.catalogue.faults import faults_of, path_of
from gateway.config import ConfigRefused
from gateway.conformance.policy import ConformancePolicy

SHIPPED: Final = Path(__file__).with_name("policy.yaml")
"""The policy the gateway ships with."""

_MOST_BYTES: Final = 64 << 10


class PolicyRefused(ConfigRefused):
    """A policy file cannot be used; the message names each fault and its mend."""


def read_policy(path: Path | None = None) -> ConformancePolicy:
    """Return the policy of a file, the shipped one for None. Raises PolicyRefused."""
    file = path or SHIPPED
    try:
        with file.open("rb") as opened:
            written = opened.read(_MOST_BYTES + 1)
        if len(written) > _MOST_BYTES:
            raise PolicyRefused(f"{file}: use a file of at most {_MOST_BYTES} bytes")
        return ConformancePolicy.model_validate(yaml.safe_load(written))
    except OSError as error:
        raise PolicyRefused(
            f"{file} cannot be read ({error.strerror}); mend conformance_policy"
        ) from None
    except yaml.YAMLError:
        raise PolicyRefused(f"{file} is no YAML") from None
    except ValidationError as error:
        told = "\n".join(f"  {path_of(at) or 'policy'}: {mend}" for at, mend in faults_of(error))
        raise PolicyRefused(f"{file} is no policy:\n{told}") from None


def write_policy(path: Path, **changes: object) -> Path:
    """Write the shipped policy with parts changed, for an installation that is not for real;
    return its path."""
    policy = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump(policy | changes), encoding="utf-8")
    return path
