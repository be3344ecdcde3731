"""This region, as others know it: its names, and the keys it proves itself with."""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.clock import Clock
from gateway.federation.trust.entity_key import EntityKey
from gateway.pki.thumbprint import thumbprint_of_pem
from operators.regions import region_client_id

_ASSERTION_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class OwnRegion:
    """One installation as a member of the federation; any thread.

    ``entity_id`` is its issuer. ``certificate`` and ``key`` are the PEM files of what it shows
    on connections to other regions, ``roots`` the authorities (PEM) of that and of its own
    server; ``next_certificate`` is to take the certificate's place. ``entity_key`` signs its
    statements, ``assertion_key`` its client assertions.
    """

    entity_id: str
    certificate: Path
    key: Path
    roots: str
    entity_key: EntityKey
    assertion_key: EntityKey
    clock: Clock
    next_certificate: Path | None = None

    @property
    def client_id(self) -> str:
        """The id it authenticates by in every other region."""
        return region_client_id(self.entity_id)

    @property
    def thumbprints(self) -> list[str]:
        """The x5t#S256 (RFC 8705) of what it shows, and of what it will. Raises OSError."""
        files = [
            self.certificate,
            *([] if self.next_certificate is None else [self.next_certificate]),
        ]
        return list(dict.fromkeys(thumbprint_of_pem(file.read_bytes()) for file in files))

    def assertion(self, issuer: str) -> str:
        """Return a client assertion (RFC 7523) for the authorisation server ``issuer``."""
        now = self.clock.now()
        return self.assertion_key.sign(
            {
                "iss": self.client_id,
                "sub": self.client_id,
                "aud": issuer,
                "jti": secrets.token_urlsafe(16),
                "iat": now,
                "exp": now + _ASSERTION_SECONDS,
            },
            "JWT",
        )
