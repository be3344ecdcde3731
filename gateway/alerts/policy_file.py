"""The alert policy as a file: the shipped one, or an installation's own."""

from pathlib import Path
from typing import Final

import yaml
from pydantic import ValidationError

from gateway.alerts.policy import AlertPolicy
from gateway.catalogue.faults import faults_of, path_of
from gateway.config import ConfigRefused

SHIPPED: Final = Path(__file__).with_name("policy.yaml")
"""The policy the gateway ships with."""

_MOST_BYTES: Final = 64 << 10


def read_alert_policy(path: Path | None = None) -> AlertPolicy:
    """Return the policy of a file, the shipped one for None. Raises ConfigRefused, whose
    message names each fault and its mend."""
    file = path or SHIPPED
    try:
        with file.open("rb") as opened:
            written = opened.read(_MOST_BYTES + 1)
        if len(written) > _MOST_BYTES:
            raise ConfigRefused(f"{file}: use a file of at most {_MOST_BYTES} bytes")
        return AlertPolicy.model_validate(yaml.safe_load(written))
    except OSError as error:
        raise ConfigRefused(
            f"{file} cannot be read ({error.strerror}); mend alert_policy"
        ) from None
    except yaml.YAMLError:
        raise ConfigRefused(f"{file} is no YAML") from None
    except ValidationError as error:
        told = "\n".join(f"  {path_of(at) or 'policy'}: {mend}" for at, mend in faults_of(error))
        raise ConfigRefused(f"{file} is no policy:\n{told}") from None
