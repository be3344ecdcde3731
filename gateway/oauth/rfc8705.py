"""RFC 8705: mutual TLS and certificate-bound access tokens.

The TLS layer has checked that the peer holds the key of a certificate of our CA; which
client that is follows from the certificate's thumbprint being registered for it.
"""

import hmac

from authlib.oauth2.rfc6749 import InvalidClientError

from gateway.oauth.client import RegisteredClient


def require_registered_certificate(client: RegisteredClient, presented: str | None) -> None:
    """Refuse a connection whose certificate is not one registered for ``client``.

    Raises InvalidClientError.
    """
    if presented is None:
        raise InvalidClientError(description="Connect with the client's TLS certificate.")
    if not any(
        hmac.compare_digest(presented, thumbprint)
        for thumbprint in client.record.certificate_thumbprints
    ):
        raise InvalidClientError(
            description="The TLS certificate presented is not registered for this client."
        )


def confirmation(thumbprint: str) -> dict[str, dict[str, str]]:
    """Return the claim that binds a token to a certificate (section 3.1)."""
    return {"cnf": {"x5t#S256": thumbprint}}
