"""The files that the TLS settings name, looked at before anything starts, and where a process that
starts in another's place cannot load them: a fault is told with its setting and its file, which
OpenSSL's own words leave out."""

import ssl
from collections.abc import Iterator
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificates

from gateway.config import ConfigRefused, GatewayConfig

_PAIRS = (
    ("tls_certificate", "tls_key"),
    ("federation_certificate", "federation_certificate_key"),
)
_CERTIFICATES = (
    "client_ca",
    "federation_next_certificate",
    "federation_roots",
    "federation_anchor_ca",
    "oidc_ca",
    "usage_export_ca",
)


def require_tls_files(config: GatewayConfig) -> None:
    """Raise ConfigRefused, with every fault, where a file that ``config`` names is no certificate
    or key (PEM), or a key is another certificate's."""
    faults = [
        *(fault for pair in _PAIRS for fault in _pair_faults(config, *pair)),
        *(fault for setting in _CERTIFICATES for fault in _certificate_faults(config, setting)),
    ]
    if faults:
        raise ConfigRefused("\n".join(("The files of the settings are not right:", *faults)))


def _pair_faults(config: GatewayConfig, certificate: str, key: str) -> Iterator[str]:
    file, key_file = _named(config, certificate), _named(config, key)
    if file is None or key_file is None:
        return
    faults = [*_certificate_faults(config, certificate), *_key_faults(key, key_file)]
    yield from faults
    if faults:
        return
    leaf = load_pem_x509_certificates(file.read_bytes())[0]
    if leaf.public_key() != load_pem_private_key(key_file.read_bytes(), None).public_key():
        yield f"  {key}: {key_file} is not the key of {certificate} ({file})"
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(file, key_file)
    except ssl.SSLError as error:
        yield f"  {certificate}: {file} cannot be used with {key_file} ({error.reason})"


def _certificate_faults(config: GatewayConfig, setting: str) -> Iterator[str]:
    file = _named(config, setting)
    if file is None:
        return
    try:
        load_pem_x509_certificates(file.read_bytes())
        # Of a file that was written in part the whole certificates alone are seen above.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except (ssl.SSLError, ValueError):
        yield f"  {setting}: {file} holds no certificate (PEM), or a broken one"
    except OSError as error:
        yield _unreadable(setting, file, error)


def _key_faults(setting: str, file: Path) -> Iterator[str]:
    try:
        load_pem_private_key(file.read_bytes(), None)
    except OSError as error:
        yield _unreadable(setting, file, error)
    except TypeError:
        yield f"  {setting}: {file} has a password; give a key without one"
    except (ValueError, UnsupportedAlgorithm):
        yield f"  {setting}: {file} holds no private key (PEM), or none that is known"


def _unreadable(setting: str, file: Path, error: OSError) -> str:
    return f"  {setting}: {file} cannot be read ({error.strerror})"


def _named(config: GatewayConfig, setting: str) -> Path | None:
    file: Path | None = getattr(config, setting)
    return file
