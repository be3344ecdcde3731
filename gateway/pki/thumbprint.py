"""Certificate thumbprints: ``x5t#S256`` of RFC 8705 section 3.1."""

import base64
import hashlib
import ssl


def thumbprint_of_der(certificate: bytes) -> str:
    """Return base64url, without padding, of the SHA-256 of a DER certificate: 43 characters."""
    return base64.urlsafe_b64encode(hashlib.sha256(certificate).digest()).rstrip(b"=").decode()


def thumbprint_of_pem(certificate: bytes) -> str:
    """Return the thumbprint of the first certificate in ``certificate`` (PEM).

    A chain starts with the certificate of the peer itself (RFC 8446 section 4.4.2).
    Raises ValueError when there is none.
    """
    text = certificate.decode("ascii", "strict")
    start, end = text.find(ssl.PEM_HEADER), text.find(ssl.PEM_FOOTER)
    if start < 0 or end < start:
        raise ValueError("no PEM certificate found")
    return thumbprint_of_der(ssl.PEM_cert_to_DER_cert(text[start : end + len(ssl.PEM_FOOTER)]))
