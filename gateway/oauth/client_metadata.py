"""Client metadata (RFC 7591 section 2): what the profile allows, and nothing else of it.

Unknown metadata is left aside, as section 2 wants; what is known and not of the FAPI 2.0
Security Profile is refused, so that no client believes it has what it has not.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc7591 import InvalidClientMetadataError, InvalidRedirectURIError
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
    model_validator,
)

from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.catalogue.faults import faults_of
from gateway.oauth.description import description
from operators import shapes
from operators.authorization_details import TYPE
from operators.jwks import registrable_jwks
from operators.model import Client, ClientAuthentication, GrantType, TokenBinding
from operators.registration import ClientRegistration, SoftwareId

_Flag = Annotated[bool, Strict()]
_Algorithm = Literal["ES256", "PS256", "EdDSA", "Ed25519"]
_BY_VALUE: Final = "give the keys themselves as jwks; no server is asked for them"
_BY_CONNECTION: Final = "leave it out: the certificate of this connection is what is registered"
_NO_SECRETS: Final = "leave it out: clients authenticate by keys, never by secrets"
_REFUSED: Final[Mapping[str, str]] = {
    "jwks_uri": _BY_VALUE,
    "client_secret": _NO_SECRETS,
    "tls_client_auth_subject_dn": _BY_CONNECTION,
    "tls_client_auth_san_dns": _BY_CONNECTION,
    "tls_client_auth_san_uri": _BY_CONNECTION,
    "tls_client_auth_san_ip": _BY_CONNECTION,
    "tls_client_auth_san_email": _BY_CONNECTION,
}
_CERTIFICATE_FIELD: Final = "certificate_thumbprints"


class ClientMetadata(BaseModel):
    """What a client says of itself, names as in RFC 7591, 8705, 9101, 9396 and 9449."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    client_name: Annotated[str, AfterValidator(shapes.display_name)]
    software_id: SoftwareId | None = None
    software_version: Annotated[str, Field(max_length=64, pattern="^[ -~]*$")] = ""
    token_endpoint_auth_method: ClientAuthentication
    token_endpoint_auth_signing_alg: _Algorithm | None = None
    grant_types: frozenset[GrantType] = frozenset({"authorization_code"})
    response_types: frozenset[Literal["code"]] | None = None
    redirect_uris: frozenset[str] = frozenset()
    jwks: Annotated[dict[str, Any], AfterValidator(registrable_jwks)]
    scope: Annotated[str, Field(max_length=2_048)] | None = None
    tls_client_certificate_bound_access_tokens: _Flag = False
    dpop_bound_access_tokens: _Flag = False
    require_signed_request_object: _Flag = False
    request_object_signing_alg: _Algorithm | None = None
    authorization_details_types: frozenset[Literal["public_credit_data"]] = frozenset()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.tls_client_certificate_bound_access_tokens == self.dpop_bound_access_tokens:
            raise ValueError(
                "bind tokens in one way: set tls_client_certificate_bound_access_tokens or"
                " dpop_bound_access_tokens to true"
            )
        if self.response_types is not None and bool(self.response_types) != (
            "authorization_code" in self.grant_types
        ):
            raise ValueError("response_types code goes with grant_types authorization_code")
        return self

    @property
    def binding(self) -> TokenBinding:
        """What its tokens are bound to."""
        return "dpop" if self.dpop_bound_access_tokens else "mtls"


def read_metadata(document: Mapping[str, Any]) -> ClientMetadata:
    """Return the metadata in a request.

    Raises InvalidClientMetadataError or InvalidRedirectURIError, which name the field.
    """
    for field, mend in _REFUSED.items():
        if field in document:
            raise InvalidClientMetadataError(description=f"{field}: {mend}.")
    try:
        return ClientMetadata.model_validate(document)
    except ValidationError as error:
        raise _refusal(error) from None


def client_of(
    metadata: ClientMetadata, client_id: str, operator_id: str, thumbprints: frozenset[str]
) -> Client:
    """Return the client that ``metadata`` describe, not stored yet; raises as `read_metadata`.

    ``thumbprints`` are of its certificates, over which alone it manages itself,
    whatever its tokens are bound to.
    """
    try:
        return Client(
            client_id=client_id,
            role=ClientRole.CLIENT_ROLE_OPERATOR,
            operator_id=operator_id,
            jwks=json.dumps(metadata.jwks),
            authentication=metadata.token_endpoint_auth_method,
            binding=metadata.binding,
            certificate_thumbprints=thumbprints,
            grant_types=metadata.grant_types,
            redirect_uris=metadata.redirect_uris,
            signed_requests=metadata.require_signed_request_object,
        )
    except ValidationError as error:
        raise _refusal(error) from None


def described(client: Client, registration: ClientRegistration, scopes: frozenset[str]) -> Any:
    """Return the registered metadata (RFC 7591 section 3.2.1), with the scopes open now."""
    with_codes = "authorization_code" in client.grant_types
    return {
        "client_id": client.client_id,
        "client_id_issued_at": registration.registered_at,
        "client_name": registration.client_name,
        "software_id": registration.software_id,
        "software_version": registration.software_version,
        "token_endpoint_auth_method": client.authentication,
        "grant_types": sorted(client.grant_types),
        "response_types": ["code"] if with_codes else [],
        "redirect_uris": sorted(client.redirect_uris),
        "jwks": json.loads(client.jwks),
        "scope": " ".join(sorted(scopes)),
        "tls_client_certificate_bound_access_tokens": client.binding == "mtls",
        "dpop_bound_access_tokens": client.binding == "dpop",
        "require_signed_request_object": client.signed_requests,
        "authorization_details_types": [TYPE],
    }


def _refusal(error: ValidationError) -> OAuth2Error:
    fault = faults_of(error)[0]
    field = str(fault.where[0]) if fault.where else ""
    if field == _CERTIFICATE_FIELD:
        return InvalidClientMetadataError(description="Connect with the certificate to register.")
    text = description(
        f"{field}: {fault.mend}." if field else f"{fault.mend[:1].upper()}{fault.mend[1:]}."
    )
    if field == "redirect_uris":
        return InvalidRedirectURIError(description=text)
    return InvalidClientMetadataError(description=text)
