"""RFC 8414: where the endpoints are and what they accept."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from authlib.oauth2.rfc8414 import get_well_known_url

from creditgate.scopes import known_scopes
from gateway.oauth.client import AUTHENTICATION_METHODS, GRANT_TYPES
from gateway.oauth.jose import ALGORITHMS


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The server's addresses, all below its issuer (an https URL without query)."""

    issuer: str

    @property
    def token(self) -> str:
        """URL of the token endpoint."""
        return f"{self.issuer.rstrip('/')}/oauth/token"

    @property
    def jwks(self) -> str:
        """URL of the public signing keys."""
        return f"{self.issuer.rstrip('/')}/oauth/jwks"

    @property
    def metadata_path(self) -> str:
        """Path of the metadata document (section 3)."""
        return get_well_known_url(self.issuer)

    @staticmethod
    def path(url: str) -> str:
        """Return the path of one of the URLs."""
        return urlsplit(url).path


def metadata(endpoints: Endpoints) -> dict[str, object]:
    """Return the metadata document (section 2; RFC 8705 section 3.3).

    There is no authorisation endpoint yet, hence no response types. The token endpoint
    asks every client for its certificate, so it needs no mtls_endpoint_aliases.
    """
    return {
        "issuer": endpoints.issuer,
        "token_endpoint": endpoints.token,
        "jwks_uri": endpoints.jwks,
        "scopes_supported": sorted(known_scopes()),
        "response_types_supported": [],
        "grant_types_supported": list(GRANT_TYPES),
        "token_endpoint_auth_methods_supported": list(AUTHENTICATION_METHODS),
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "tls_client_certificate_bound_access_tokens": True,
    }
