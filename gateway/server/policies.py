"""The policies of an installation, read once: what serves and what works in the background,
now and when started again, keep to the same until the gateway itself is started anew."""

from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from gateway.alerts.policy import AlertPolicy
from gateway.alerts.policy_file import read_alert_policy
from gateway.config import GatewayConfig
from gateway.conformance.policy import ConformancePolicy
from gateway.conformance.policy_file import read_policy
from gateway.usage.policy import AgreementPolicy
from gateway.usage.policy_file import read_agreement_policy


class Policies(BaseModel):
    """All policies that are files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    conformance: ConformancePolicy
    alerts: AlertPolicy
    agreement: AgreementPolicy

    @classmethod
    def read(cls, config: GatewayConfig) -> "Policies":
        """Return what the files of the settings say now. Raises ConfigRefused."""
        files = config.conformance_policy, config.alert_policy, config.agreement_policy
        return _read(*files) if any(files) else _usual()


def _read(conformance: Path | None, alerts: Path | None, agreement: Path | None) -> Policies:
    return Policies(
        conformance=read_policy(conformance),
        alerts=read_alert_policy(alerts),
        agreement=read_agreement_policy(agreement),
    )


@cache
def _usual() -> Policies:
    return _read(None, None, None)
