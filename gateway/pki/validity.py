"""How long the certificates hold that a gateway was started with, and when that is to be told. Pure."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, NamedTuple

from cryptography.x509 import Certificate

_DAY_SECONDS: Final = 86_400
DUE_SECONDS: Final = 30 * _DAY_SECONDS
"""So long before its end a certificate is to be renewed, and that is told."""
URGENT_SECONDS: Final = 7 * _DAY_SECONDS
"""So long before its end it is a fault that it was not."""


class Validity(NamedTuple):
    """Of a certificate: the ``setting`` that names its file, what it is (``name``) and who refuses
    it once it is over (``refused``), for people; when it ``begins`` and ``ends`` (seconds UTC)."""

    setting: str
    name: str
    refused: str
    begins: int
    ends: int

    @classmethod
    def of(cls, setting: str, name: str, refused: str, certificate: Certificate) -> "Validity":
        """Return that of a certificate."""
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        return cls(setting, name, refused, int(begins.timestamp()), int(ends.timestamp()))

    def is_due(self, now: int) -> bool:
        """Tell whether something is to be told of it at ``now`` (seconds UTC)."""
        return self.begins > now or self.ends - now < DUE_SECONDS

    def is_urgent(self, now: int) -> bool:
        """Tell whether that is a fault at ``now`` (seconds UTC)."""
        return self.begins > now or self.ends - now < URGENT_SECONDS

    def told(self, now: int) -> str:
        """Return what is told at ``now`` (seconds UTC), with what mends it."""
        named = f"{self.name} ({self.setting})"
        if self.begins > now:
            return f"{named} is not valid before {_minute(self.begins)}: {self.refused} until then."
        renew = "Renew it, and start the gateway again."
        if self.ends <= now:
            return f"{named} ended at {_minute(self.ends)}: {self.refused}. {renew}"
        days = (self.ends - now) // _DAY_SECONDS
        left = f"in {days} days" if days > 1 else "within two days"
        return f"{named} ends {left}, at {_minute(self.ends)}; then {self.refused}. {renew}"


def without_succeeded(authorities: Iterable[Certificate]) -> list[Certificate]:
    """Return the authorities that no other of the same name outlives: a former one stays beside its
    successor until the last client's certificate of it is over."""
    last: dict[bytes, Certificate] = {}
    for each in authorities:
        name = each.subject.public_bytes()
        if name not in last or last[name].not_valid_after_utc < each.not_valid_after_utc:
            last[name] = each
    return [*last.values()]


def _minute(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
