"""The certificate that a gateway shows on this host, beside the one that its file has.

A gateway reads the file as it starts. Once the file is replaced it serves on by the former one, which is
no fault; but another gateway, or another program, at the same port is not the one that is asked for.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from gateway.cli.failures import CommandFailed


@dataclass(frozen=True, slots=True)
class OwnCertificate:
    """The certificate in the gateway's file, and the development CA where that makes it."""

    file: Path
    leaf: x509.Certificate
    ca: x509.Certificate | None

    @classmethod
    def read(cls, file: Path, ca: Path | None) -> Self:
        """Return what the files (PEM) hold. Raises OSError, ValueError where one holds none."""
        (leaf, *_) = x509.load_pem_x509_certificates(file.read_bytes())
        return cls(
            file, leaf, None if ca is None else x509.load_pem_x509_certificate(ca.read_bytes())
        )

    def names_of_both(self, shown: x509.Certificate) -> list[str]:
        """Return the names that a certificate and this one are both for, sorted."""
        return sorted(_names(self.leaf) & _names(shown))

    def unwell(self, shown: x509.Certificate) -> str:
        """Return what is not well with a certificate that is shown, "" where it is this one.

        Raises CommandFailed where it is none that this gateway may have been started with: who
        shows it is another.
        """
        if shown == self.leaf:
            return ""
        if self._may_be_former(shown):
            return (
                f"It serves by another certificate (until {_day(shown)}) than {self.file} has (until"
                f" {_day(self.leaf)}), which it takes when it is started again."
            )
        raise CommandFailed(
            "What answers shows another certificate, for"
            f" {', '.join(sorted(_names(shown))) or 'nobody'} by {shown.issuer.rfc4514_string()},"
            f" than {self.file} has: it is another gateway, or its certificate was for other"
            " names. Are the ports and `home` right? If so, start it again."
        )

    def _may_be_former(self, shown: x509.Certificate) -> bool:
        if self.ca is None:
            return bool(self.names_of_both(shown))
        # Every installation's development certificate is for the same names.
        try:
            shown.verify_directly_issued_by(self.ca)
        except (InvalidSignature, TypeError, ValueError):
            return False
        return True


def _day(certificate: x509.Certificate) -> str:
    return f"{certificate.not_valid_after_utc:%Y-%m-%d}"


def _names(certificate: x509.Certificate) -> set[str]:
    try:
        given = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    names = {name.lower() for name in given.get_values_for_type(x509.DNSName)}
    return names | {str(each) for each in given.get_values_for_type(x509.IPAddress)}
