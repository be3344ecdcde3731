"""A client's keys for registration: read from files, or made for development."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway.cli.failures import CommandFailed
from gateway.clock import SystemClock
from gateway.config import GatewayConfig
from gateway.installation.home import Home
from gateway.pki.client_keys import make_assertion_key, read_assertion_key
from gateway.pki.development import make_client_certificate
from gateway.pki.files import write_private
from gateway.pki.thumbprint import thumbprint_of_pem
from sdk.credentials import Credentials

_CERTIFICATE: Final = "certificate.pem"
_KEY: Final = "key.pem"
_SIGNING_KEY: Final = "signing.pem"


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """What the gateway is told: a JWK Set (JSON) and certificate thumbprints (RFC 8705)."""

    jwks: str
    thumbprints: tuple[str, ...]


def given_keys(
    folder: Path | None,
    jwks: Path | None,
    certificates: Sequence[Path] | None,
    *,
    client_id: str,
    caller: Credentials,
    config: Path | None,
) -> PublicKeys:
    """Return the keys a command was given: by ``folder`` to make them in, or by files.

    ``caller`` is where a new profile learns the gateway's addresses from. Raises
    CommandFailed, and ConfigRefused for the installation's settings.
    """
    if folder is not None and jwks is None and not certificates:
        return _keys_in(folder, client_id, caller, config)
    if folder is None and jwks is not None and certificates:
        return PublicKeys(
            jwks.read_text(encoding="utf-8"), tuple(map(_thumbprint_of, certificates))
        )
    raise CommandFailed("Give --make-keys DIR, or both --jwks FILE and --certificate FILE.")


def _keys_in(folder: Path, client_id: str, caller: Credentials, config: Path | None) -> PublicKeys:
    profile = folder / "profile.json"
    if not profile.exists():
        _make_keys(folder, client_id, caller, config)
    credentials = _own_profile(profile, client_id)
    try:
        key = read_assertion_key(credentials.signing_key.read_bytes())
    except ValueError:
        raise CommandFailed(
            f"{credentials.signing_key} was not made by --make-keys; give --jwks and --certificate."
        ) from None
    return PublicKeys(key.jwks, (_thumbprint_of(credentials.certificate),))


def _own_profile(profile: Path, client_id: str) -> Credentials:
    try:
        credentials = Credentials.load(profile)
    except ValueError as error:
        raise CommandFailed(str(error)) from None
    if credentials.client_id != client_id:
        raise CommandFailed(f"{profile} is another client's; choose another folder.")
    return credentials


def _make_keys(folder: Path, client_id: str, caller: Credentials, config: Path | None) -> None:
    """Write certificate, keys and, last, the profile that says they are whole, over no others."""
    home = Home.at(GatewayConfig.load(config).home)
    try:
        ca = home.development_ca()
    except OSError:
        raise CommandFailed(
            f"--make-keys needs the installation's development CA, and {home.ca_key.parent} holds"
            " none: set CREDITGATE_HOME or --config, or give --jwks and --certificate."
        ) from None
    for name in (_CERTIFICATE, _KEY, _SIGNING_KEY):
        if (there := folder / name).exists():
            raise CommandFailed(
                f"{there} is there without a profile.json that tells whose it is: choose another"
                " folder, or move it away."
            )
    certificate = make_client_certificate(ca, client_id, SystemClock().now())
    certificate.write(folder / _CERTIFICATE, folder / _KEY)
    write_private(folder / _SIGNING_KEY, make_assertion_key().key)
    profile: dict[str, Any] = {
        "client_id": client_id,
        "certificate": _CERTIFICATE,
        "key": _KEY,
        "signing_key": _SIGNING_KEY,
        "ca": str(caller.ca.absolute()),
        "grpc": caller.grpc,
        "issuer": caller.issuer,
    }
    write_private(folder / "profile.json", json.dumps(profile, indent=2).encode() + b"\n")


def _thumbprint_of(certificate: Path) -> str:
    try:
        return thumbprint_of_pem(certificate.read_bytes())
    except ValueError:
        raise CommandFailed(f"{certificate} holds no PEM certificate.") from None
