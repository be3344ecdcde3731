"""A client's keys for registration: read from files, or made for development."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from gateway.cli.failures import CommandFailed
from gateway.clock import SystemClock
from gateway.config import GatewayConfig
from gateway.installation.home import Home
from gateway.pki.client_keys import make_assertion_key
from gateway.pki.development import make_client_certificate
from gateway.pki.files import write_private
from gateway.pki.thumbprint import thumbprint_of_pem
from sdk.credentials import Credentials


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
        key = ECKey.import_key(credentials.signing_key.read_bytes())
    except (JoseError, ValueError):
        raise CommandFailed(
            f"{credentials.signing_key} was not made by --make-keys; give --jwks and --certificate."
        ) from None
    public = key.as_dict(private=False, kid=key.thumbprint(), alg="ES256", use="sig")
    return PublicKeys(json.dumps({"keys": [public]}), (_thumbprint_of(credentials.certificate),))


def _own_profile(profile: Path, client_id: str) -> Credentials:
    try:
        credentials = Credentials.load(profile)
    except ValueError as error:
        raise CommandFailed(str(error)) from None
    if credentials.client_id != client_id:
        raise CommandFailed(f"{profile} is another client's; choose another folder.")
    return credentials


def _make_keys(folder: Path, client_id: str, caller: Credentials, config: Path | None) -> None:
    """Write certificate, keys and, last, the profile that says they are whole."""
    home = Home.at(GatewayConfig.load(config).home)
    try:
        ca = home.development_ca()
    except OSError:
        raise CommandFailed(
            f"--make-keys needs the installation's development CA, and {home.ca_key.parent} holds"
            " none: set CREDITGATE_HOME or --config, or give --jwks and --certificate."
        ) from None
    certificate = make_client_certificate(ca, client_id, SystemClock().now())
    certificate.write(folder / "certificate.pem", folder / "key.pem")
    write_private(folder / "signing.pem", make_assertion_key().key)
    profile: dict[str, Any] = {
        "client_id": client_id,
        "certificate": "certificate.pem",
        "key": "key.pem",
        "signing_key": "signing.pem",
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
