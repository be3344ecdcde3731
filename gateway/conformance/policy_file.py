"""The enforcement policy as a file: the shipped one, or an installation's own."""

from pathlib import Path
from typing import Final

import yaml

from gateway.config import ConfigRefused
from gateway.conformance.policy import ConformancePolicy
from gateway.policy_file import read_policy_file
from gateway.yaml_text import read_yaml

SHIPPED: Final = Path(__file__).with_name("policy.yaml")
"""The policy the gateway ships with."""


class PolicyRefused(ConfigRefused):
    """A policy file cannot be used; the message names each fault and its mend."""


def read_policy(path: Path | None = None) -> ConformancePolicy:
    """Return the policy of a file, the shipped one for None. Raises PolicyRefused."""
    return read_policy_file(ConformancePolicy, path or SHIPPED, "conformance_policy", PolicyRefused)


def write_policy(path: Path, **changes: object) -> Path:
    """Write the shipped policy with parts changed, for an installation that is not for real;
    return its path."""
    policy = read_yaml(SHIPPED.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump(policy | changes), encoding="utf-8")
    return path
