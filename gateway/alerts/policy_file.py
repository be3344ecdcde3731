"""The alert policy as a file: the shipped one, or an installation's own."""

from pathlib import Path
from typing import Final

from gateway.alerts.policy import AlertPolicy
from gateway.policy_file import read_policy_file

SHIPPED: Final = Path(__file__).with_name("policy.yaml")
"""The policy the gateway ships with."""


def read_alert_policy(path: Path | None = None) -> AlertPolicy:
    """Return the policy of a file, the shipped one for None. Raises ConfigRefused, whose
    message names each fault and its mend."""
    return read_policy_file(AlertPolicy, path or SHIPPED, "alert_policy")
