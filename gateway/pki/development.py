"""A certification authority for development, demo and tests.

Never for production: its root key lies unencrypted in a file. Keys are ECDSA P-256,
which the TLS profile of BCP 195 and every TLS stack knows.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.pki.files import write_private
from gateway.pki.thumbprint import thumbprint_of_pem

LOOPBACK: Final = ("localhost", "127.0.0.1")
# A certificate made now must hold on a machine whose clock is slow.
_BACKDATED: Final = timedelta(minutes=5)
_CA_DAYS: Final = 3650
_LEAF_DAYS: Final = 397


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its private key (PKCS #8), both PEM."""

    certificate: bytes
    key: bytes

    @property
    def thumbprint(self) -> str:
        """The certificate's ``x5t#S256`` (RFC 8705)."""
        return thumbprint_of_pem(self.certificate)

    def write(self, certificate: Path, key: Path) -> None:
        """Write both files, readable by their owner alone."""
        write_private(certificate, self.certificate)
        write_private(key, self.key)


def read_issued(certificate: Path, key: Path) -> Issued:
    """Read what `Issued.write` wrote. Raises OSError when a file is missing."""
    return Issued(certificate.read_bytes(), key.read_bytes())


def make_ca(name: str, now: int) -> Issued:
    """Make a self-signed root that may sign leaves only; valid ten years from ``now``."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(name, now, _CA_DAYS, key).issuer_name(_name(name))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_key_usage(signs_certificates=True), critical=True)
    return _issued(builder.sign(key, hashes.SHA256()), key)


def make_server_certificate(ca: Issued, now: int, hosts: Iterable[str] = LOOPBACK) -> Issued:
    """Make a TLS server certificate for ``hosts`` (names or addresses); valid 397 days."""
    names = [_general_name(host) for host in hosts]
    return _leaf(ca, "creditgate server", now, ExtendedKeyUsageOID.SERVER_AUTH, names)


def make_client_certificate(ca: Issued, client_id: str, now: int) -> Issued:
    """Make a TLS client certificate with common name ``client_id``; valid 397 days.

    The gateway knows a client by the certificate's thumbprint; the name is for people.
    """
    return _leaf(ca, client_id, now, ExtendedKeyUsageOID.CLIENT_AUTH, [x509.DNSName(client_id)])


def stands(certificate: bytes, key: bytes, ca: Issued, now: int) -> bool:
    """Tell whether somebody can connect by a certificate of ``ca`` and its key (both PEM)."""
    try:
        leaf = x509.load_pem_x509_certificate(certificate)
        leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(ca.certificate))
        own = load_pem_private_key(key, password=None).public_key() == leaf.public_key()
    except (InvalidSignature, TypeError, ValueError):
        return False
    moment = datetime.fromtimestamp(now, UTC)
    return own and leaf.not_valid_before_utc <= moment < leaf.not_valid_after_utc


def _leaf(
    ca: Issued, name: str, now: int, usage: x509.ObjectIdentifier, names: list[x509.GeneralName]
) -> Issued:
    ca_certificate = x509.load_pem_x509_certificate(ca.certificate)
    ca_key = load_pem_private_key(ca.key, password=None)
    if not isinstance(ca_key, ec.EllipticCurvePrivateKey):
        raise TypeError("the development CA's key must be an elliptic-curve key")
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(name, now, _LEAF_DAYS, key).issuer_name(ca_certificate.subject)
    builder = builder.add_extension(
        x509.BasicConstraints(ca=False, path_length=None), critical=True
    )
    builder = builder.add_extension(_key_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
    )
    return _issued(builder.sign(ca_key, hashes.SHA256()), key)


def _builder(
    name: str, now: int, days: int, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    moment = datetime.fromtimestamp(now, UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - _BACKDATED)
        .not_valid_after(moment + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _issued(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Issued:
    return Issued(
        certificate.public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )
