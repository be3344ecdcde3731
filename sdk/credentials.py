"""What a client needs to call a gateway, read from a profile file."""

import ssl
from pathlib import Path
from typing import Annotated, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)


class Profile(BaseModel):
    """A client and the gateway's addresses, whatever its tokens are bound to.

    Paths are PEM files: ``signing_key`` for the assertions of RFC 7523 (EC P-256, Ed25519
    or RSA), ``ca`` what the gateway's own certificate is checked against. ``grpc`` is
    host:port; ``issuer`` the https URL of the authorisation server.
    """

    model_config = ConfigDict(frozen=True)

    client_id: Annotated[str, StringConstraints(min_length=1)]
    signing_key: Path
    ca: Path
    grpc: Annotated[str, Field(pattern=r"^[^/\s]+:\d+$")]
    issuer: Annotated[str, Field(pattern=r"^https://[^\s?#]+$")]

    @classmethod
    def load(cls, profile: Path) -> Self:
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
        paths = {
            name: folder / value
            for name in cls.model_fields
            if isinstance(value := getattr(read, name), Path)
        }
        return read.model_copy(update=paths)

    @property
    def shown(self) -> tuple[Path, Path] | None:
        """Files of the certificate shown on connections and of its key; None without."""
        return None

    def tls(self) -> ssl.SSLContext:
        """Return TLS settings that trust only ``ca`` and show the certificate, if any."""
        context = ssl.create_default_context(cafile=self.ca)
        if self.shown is not None:
            context.load_cert_chain(*self.shown)
        return context


class Credentials(Profile):
    """A client whose tokens are bound to its certificate (RFC 8705).

    ``certificate`` and ``key`` are PEM files for mutual TLS.
    """

    certificate: Path
    key: Path

    @property
    def shown(self) -> tuple[Path, Path]:
        """Files of the certificate and its key."""
        return self.certificate, self.key


class KeyCredentials(Profile):
    """A client whose tokens are bound to a key that it proves at each call (RFC 9449).

    ``dpop_key`` is that key (PEM; EC P-256, Ed25519 or RSA). ``certificate`` and ``key``
    are needed where the gateway itself is the other end of the TLS connection, not
    where a proxy before it is. ``grpc_url`` is the public https URL of the gateway's
    gRPC methods, which proofs name; without it, https:// with ``grpc``.
    """

    dpop_key: Path
    certificate: Path | None = None
    key: Path | None = None
    grpc_url: Annotated[str, Field(pattern=r"^https://[^\s?#]+$")] | None = None

    @model_validator(mode="after")
    def _certificate_has_its_key(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("give certificate and key together")
        return self

    @property
    def shown(self) -> tuple[Path, Path] | None:
        """Files of the certificate and its key; None without."""
        if self.certificate is None or self.key is None:
            return None
        return self.certificate, self.key

    @property
    def public_url(self) -> str:
        """URL that proofs name, before the path of the method."""
        return (self.grpc_url or f"https://{self.grpc}").rstrip("/")
