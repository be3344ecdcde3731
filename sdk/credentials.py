"""What a client needs to call a gateway, read from a profile file."""

import ssl
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError


class Credentials(BaseModel):
    """One client's identity and the gateway's addresses.

    Paths are PEM files: ``certificate`` and ``key`` for mutual TLS, ``signing_key`` for
    the assertions of RFC 7523 (EC P-256, Ed25519 or RSA), ``ca`` what the gateway's own
    certificate is checked against. ``grpc`` is host:port; ``issuer`` the https URL of
    the authorisation server.
    """

    model_config = ConfigDict(frozen=True)

    client_id: Annotated[str, StringConstraints(min_length=1)]
    certificate: Path
    key: Path
    signing_key: Path
    ca: Path
    grpc: Annotated[str, Field(pattern=r"^[^/\s]+:\d+$")]
    issuer: Annotated[str, Field(pattern=r"^https://[^\s?#]+$")]

    @classmethod
    def load(cls, profile: Path) -> "Credentials":
        """Read a JSON profile; relative paths in it start at the profile's own folder.

        Raises ValueError telling which field to mend, OSError when it cannot be read.
        """
        try:
            read = cls.model_validate_json(profile.read_bytes())
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, fault['loc'])) or 'file'}: {fault['msg']}"
                for fault in error.errors(include_input=False, include_url=False)
            )
            raise ValueError(f"The profile {profile} is not right: {faults}") from None
        folder = profile.parent
        return read.model_copy(
            update={
                name: folder / getattr(read, name)
                for name in ("certificate", "key", "signing_key", "ca")
            }
        )

    def tls(self) -> ssl.SSLContext:
        """Return TLS settings that show the client's certificate and trust only ``ca``."""
        context = ssl.create_default_context(cafile=self.ca)
        context.load_cert_chain(self.certificate, self.key)
        return context
