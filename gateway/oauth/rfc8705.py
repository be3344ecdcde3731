"""RFC 8705: mutual TLS, client authentication by it, and certificate-bound access tokens.

The TLS layer has checked that the peer holds the key of a certificate of our CA; which
client that is follows from the certificate's thumbprint being registered for it.
"""

import hmac
from collections.abc import Callable
from typing import Final

from authlib.oauth2.rfc6749 import InvalidClientError

from gateway.oauth.client import RegisteredClient
from gateway.oauth.request import TokenRequest

TLS_CLIENT_AUTH: Final = "tls_client_auth"


def authenticate_by_certificate(
    query_client: Callable[[str], RegisteredClient | None], request: TokenRequest
) -> RegisteredClient | None:
    """Return the client whose certificate the connection shows (section 2.1).

    None when the request authenticates otherwise: RFC 6749 section 2.3 allows one way at
    a time. Raises InvalidClientError when the certificate is not one of the client's.
    """
    client_id = request.form.get("client_id")
    if client_id is None or "client_assertion" in request.form:
        return None
    client = query_client(client_id)
    if client is None or client.record.authentication != TLS_CLIENT_AUTH:
        return None
    thumbprint = require_registered_certificate(client, request.thumbprint)
    return client.authenticated_by(thumbprint).showing(thumbprint)


def require_registered_certificate(client: RegisteredClient, presented: str | None) -> str:
    """Return the thumbprint ``presented`` when it is that of a certificate of ``client``.

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
    return presented


def confirmation(thumbprint: str) -> dict[str, dict[str, str]]:
    """Return the claim that binds a token to a certificate (section 3.1)."""
    return {"cnf": {"x5t#S256": thumbprint}}
