"""Certificates that say they are another's."""

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.pki.development import Issued


def named_as(authority: Issued, *, subject: x509.Name | None = None, key_id: bool = True) -> str:
    """Return an authority's certificate (PEM) with the name of another, or ``subject``, and its key
    identifier unless not ``key_id``, by a key of its own."""
    true = x509.load_pem_x509_certificate(authority.certificate)
    key = ec.generate_private_key(ec.SECP256R1())
    name = subject or true.subject
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(true.not_valid_before_utc)
        .not_valid_after(true.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    )
    if key_id:
        ids = true.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        builder = builder.add_extension(ids.value, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
