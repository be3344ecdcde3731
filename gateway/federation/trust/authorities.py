"""The certification authorities that a region says are its own, read one by one. Pure.

They stand beside those of all other regions in one store of a TLS library. Such a store is read
as a whole, up to the first piece that cannot be read, and a certificate's issuer is looked up in
it by name. So each is read here to its end and written anew, and it is told which of them could
be taken for another's.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

MOST_AUTHORITIES: Final = 16
"""Most authorities of one region."""

MOST_NAME_BYTES: Final = 1_024
"""Longest name of an authority (DER). TLS servers send the names of all of them, and the whole
list has two bytes for its length (RFC 8446 section 4.2.4)."""

_Name = tuple[frozenset[tuple[str, str | bytes]], ...]


class Authority(NamedTuple):
    """A certificate as trust anchor: ``der`` as it is, ``pem`` written anew.

    ``name`` is its subject as it is compared (RFC 5280 section 7.1), ``name_bytes`` how long
    that is; ``key`` its public key, ``key_id`` what its subject key identifier says, None where
    it has none; ``self_signed`` whether it is signed by its own key.
    """

    der: bytes
    pem: bytes
    name: _Name
    name_bytes: int
    key: bytes
    key_id: bytes | None
    self_signed: bool

    def may_hide(self, other: "Authority") -> bool:
        """Tell whether a TLS library may try this one for what ``other`` has issued.

        It looks an issuer up by name, and by key identifier where both have one (RFC 5280
        sections 4.2.1.1 and 6.1), and tries one. Of one key two certificates are no fraud where
        that key signed both.
        """
        if self.der == other.der or self.name != other.name:
            return False
        told_apart = None not in (self.key_id, other.key_id) and self.key_id != other.key_id
        same = self.key == other.key and self.self_signed and other.self_signed
        return not told_apart and not same


def read_authorities(pem: str, most: int = MOST_AUTHORITIES) -> tuple[Authority, ...]:
    """Return the authorities in ``pem``, ``most`` at most, each once, in order.

    What stands between certificates is passed over, as everywhere. Raises ValueError for what
    has none, or too many, and for one that cannot be read to its end.
    """
    try:
        certificates = x509.load_pem_x509_certificates(pem.encode("ascii"))
    except UnicodeEncodeError:
        raise ValueError("authorities are PEM, which is ASCII") from None
    if not 1 <= len(certificates) <= most:
        raise ValueError(f"give 1 to {most} authorities")
    return tuple({each.der: each for each in map(_authority, certificates)}.values())


def as_pem(authorities: Iterable[Authority]) -> bytes:
    """Return authorities as PEM that has nothing else in it."""
    return b"".join(each.pem for each in authorities)


def _authority(certificate: x509.Certificate) -> Authority:
    name_bytes = len(certificate.subject.public_bytes())
    if name_bytes > MOST_NAME_BYTES:
        raise ValueError(f"an authority's name has at most {MOST_NAME_BYTES} bytes")
    # Read now what libraries read later, when one may stop at it.
    for name in (certificate.subject, certificate.issuer):
        _compared(name)
    return Authority(
        certificate.public_bytes(Encoding.DER),
        certificate.public_bytes(Encoding.PEM),
        _compared(certificate.subject),
        name_bytes,
        _key(certificate),
        _key_id(certificate),
        _is_self_signed(certificate),
    )


def _compared(name: x509.Name) -> _Name:
    """Return a name as TLS libraries compare it: without case, and with single spaces."""
    return tuple(
        frozenset(
            (
                each.oid.dotted_string,
                " ".join(each.value.split()).casefold()
                if isinstance(each.value, str)
                else each.value,
            )
            for each in part
        )
        for part in name.rdns
    )


def _key(certificate: x509.Certificate) -> bytes:
    try:
        return certificate.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
    except (UnsupportedAlgorithm, ValueError):
        # Of a kind that is not known here: then no other certificate has the same.
        return certificate.public_bytes(Encoding.DER)


def _key_id(certificate: x509.Certificate) -> bytes | None:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:
        return None
    except x509.DuplicateExtension:
        raise ValueError("an authority has an extension twice") from None
    return found.value.digest


def _is_self_signed(certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(certificate)
    except (InvalidSignature, UnsupportedAlgorithm, TypeError, ValueError):
        return False
    return True
