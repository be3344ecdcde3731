"""RFC 8414: where the endpoints are and what they accept."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from authlib.oauth2.rfc8414 import get_well_known_url

from creditgate.scopes import known_scopes
from gateway.oauth.client import AUTHENTICATION_METHODS, GRANT_QUERY, GRANT_REVOKE, GRANT_TYPES
from gateway.oauth.jose import ALGORITHMS
from gateway.oauth.signing import SIGNING_ALGORITHMS
from operators.administrators import BASIC_ACR, STRONG_ACR
from operators.authorization_details import TYPE

RESPONSE_MODES: Final = ("query", "jwt", "query.jwt")
"""How authorisation responses come: by the last two, signed (JARM section 2.3)."""

GRANT_ACTIONS: Final = ("create", "query", "revoke")
"""Grant Management, section 7.1: each approval makes a grant of its own."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The server's addresses, all below its issuer (an https URL without query)."""

    issuer: str

    @property
    def token(self) -> str:
        """URL of the token endpoint."""
        return f"{self.issuer.rstrip('/')}/oauth/token"

    @property
    def pushed_request(self) -> str:
        """URL of the endpoint for pushed authorisation requests (RFC 9126)."""
        return f"{self.issuer.rstrip('/')}/oauth/par"

    @property
    def authorization(self) -> str:
        """URL of the authorisation endpoint."""
        return f"{self.issuer.rstrip('/')}/oauth/authorize"

    def interaction(self, interaction_id: str) -> str:
        """Return the URL at which a person is asked."""
        return f"{self.issuer.rstrip('/')}/interaction/{interaction_id}"

    @property
    def introspection(self) -> str:
        """URL of the introspection endpoint (RFC 7662)."""
        return f"{self.issuer.rstrip('/')}/oauth/introspect"

    @property
    def revocation(self) -> str:
        """URL of the revocation endpoint (RFC 7009)."""
        return f"{self.issuer.rstrip('/')}/oauth/revoke"

    @property
    def grants(self) -> str:
        """URL below which each grant has its own (Grant Management for OAuth 2.0)."""
        return f"{self.issuer.rstrip('/')}/oauth/grants"

    @property
    def registration(self) -> str:
        """URL of dynamic client registration (RFC 7591); each client's is below (RFC 7592)."""
        return f"{self.issuer.rstrip('/')}/oauth/register"

    @property
    def jwks(self) -> str:
        """URL of the public signing keys."""
        return f"{self.issuer.rstrip('/')}/oauth/jwks"

    @property
    def details_schema(self) -> str:
        """URL of the JSON Schema of authorization details (RFC 9396)."""
        return f"{self.issuer.rstrip('/')}/oauth/schemas/public_credit_data.json"

    @property
    def metadata_path(self) -> str:
        """Path of the metadata document (section 3)."""
        return get_well_known_url(self.issuer)

    @staticmethod
    def path(url: str) -> str:
        """Return the path of one of the URLs."""
        return urlsplit(url).path


def metadata(endpoints: Endpoints) -> dict[str, object]:
    """Return the metadata document (section 2, and what each extension adds to it).

    authorization_details_schema_uri is this server's own: RFC 9396 leaves open where the
    schema of a type is found. Every endpoint asks for the client's certificate, so there are no
    mtls_endpoint_aliases (RFC 8705 section 5).
    """
    return {
        "issuer": endpoints.issuer,
        "authorization_endpoint": endpoints.authorization,
        "pushed_authorization_request_endpoint": endpoints.pushed_request,
        "require_pushed_authorization_requests": True,
        "token_endpoint": endpoints.token,
        "jwks_uri": endpoints.jwks,
        "introspection_endpoint": endpoints.introspection,
        "introspection_endpoint_auth_methods_supported": list(AUTHENTICATION_METHODS),
        "introspection_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "introspection_signing_alg_values_supported": list(SIGNING_ALGORITHMS),
        "revocation_endpoint": endpoints.revocation,
        "revocation_endpoint_auth_methods_supported": list(AUTHENTICATION_METHODS),
        "revocation_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "registration_endpoint": endpoints.registration,
        "grant_management_endpoint": endpoints.grants,
        "grant_management_actions_supported": list(GRANT_ACTIONS),
        "scopes_supported": sorted({*known_scopes(), GRANT_QUERY, GRANT_REVOKE}),
        "acr_values_supported": [BASIC_ACR, STRONG_ACR],
        "response_types_supported": ["code"],
        "response_modes_supported": list(RESPONSE_MODES),
        "authorization_response_iss_parameter_supported": True,
        "authorization_signing_alg_values_supported": list(SIGNING_ALGORITHMS),
        "code_challenge_methods_supported": ["S256"],
        "request_parameter_supported": True,
        "request_object_signing_alg_values_supported": list(ALGORITHMS),
        "grant_types_supported": list(GRANT_TYPES),
        "token_endpoint_auth_methods_supported": list(AUTHENTICATION_METHODS),
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "tls_client_certificate_bound_access_tokens": True,
        "dpop_signing_alg_values_supported": list(ALGORITHMS),
        "authorization_details_types_supported": [TYPE],
        "authorization_details_schema_uri": endpoints.details_schema,
    }
