"""The agreement policy as a file: the shipped one, or an installation's own."""

from pathlib import Path
from typing import Final

from gateway.policy_file import read_policy_file
from gateway.usage.policy import AgreementPolicy

SHIPPED: Final = Path(__file__).with_name("policy.yaml")
"""The policy the gateway ships with."""


def read_agreement_policy(path: Path | None = None) -> AgreementPolicy:
    """Return the policy of a file, the shipped one for None. Raises ConfigRefused, whose
    message names each fault and its mend."""
    return read_policy_file(AgreementPolicy, path or SHIPPED, "agreement_policy")
