"""Operators, licences, clients and scope grants, as the authority log keeps them.

Frozen and checked: an instance exists only if every field has its shape. Enums are the
integers of the protos, times seconds UTC, periods half-open [from, until).
"""

from typing import Annotated, Final, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from creditgate.shapes import IN_ORDER, Items, Purposes
from creditgate.v1.operator_service_pb2 import ClientRole, OperatorState
from operators import shapes
from operators.jwks import key_thumbprints, public_jwks
from operators.kept import Kept

OPERATOR: Final = "operator"
LICENCE: Final = "licence"
CLIENT: Final = "client"
SCOPE_GRANT: Final = "scope_grant"

_FOR_OPERATORS: Final = (ClientRole.CLIENT_ROLE_OPERATOR, ClientRole.CLIENT_ROLE_REGION)
_MOST_REGIONS: Final = 1000
_MOST_CERTIFICATES: Final = 8
_MOST_REDIRECTS: Final = 16

ClientAuthentication = Literal["private_key_jwt", "tls_client_auth"]
TokenBinding = Literal["mtls", "dpop"]
TOKEN_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105  # a grant type
GrantType = Literal[
    "client_credentials",
    "authorization_code",
    "refresh_token",
    "urn:ietf:params:oauth:grant-type:token-exchange",
]

_RegionCode = Annotated[str, AfterValidator(shapes.region_code)]
Regions = Annotated[frozenset[_RegionCode], Field(max_length=_MOST_REGIONS), IN_ORDER]
_Thumbprints = Annotated[
    frozenset[Annotated[str, AfterValidator(shapes.certificate_thumbprint)]],
    Field(max_length=_MOST_CERTIFICATES),
    IN_ORDER,
]
_RedirectUris = Annotated[
    frozenset[Annotated[str, AfterValidator(shapes.redirect_uri)]],
    Field(max_length=_MOST_REDIRECTS),
    IN_ORDER,
]
_OperatorId = Annotated[str, AfterValidator(shapes.operator_id)]
Instant = Annotated[int, AfterValidator(shapes.instant)]
_NotEmpty = Field(min_length=1)


class Operator(Kept):
    """A licensed firm (授权运营机构). ``state`` is an OperatorState.

    ``operator_class`` is what price plans and rebates know it by, "" for none.
    """

    operator_id: _OperatorId
    display_name: Annotated[str, AfterValidator(shapes.display_name)]
    uscc: Annotated[str, AfterValidator(shapes.credit_code)]
    state: Annotated[OperatorState.ValueType, AfterValidator(shapes.stated(OperatorState))]
    operator_class: Annotated[str, AfterValidator(shapes.operator_class_or_none)] = ""


class Licence(Kept):
    """A licence (授权运营许可): what its holder may ask for, why, where and when.

    ``daily_record_quota`` is the most records served in one UTC day.
    """

    number: Annotated[str, AfterValidator(shapes.licence_number)]
    operator_id: _OperatorId
    valid_from: Instant
    valid_until: Instant
    items: Annotated[Items, _NotEmpty]
    purposes: Annotated[Purposes, _NotEmpty]
    regions: Annotated[Regions, _NotEmpty]
    daily_record_quota: Annotated[int, Field(ge=0, lt=1 << 63)]
    revoked_at: Instant | None = None

    @model_validator(mode="after")
    def _period_has_length(self) -> Self:
        _require_length(self.valid_from, self.valid_until)
        return self

    def in_force(self, now: int) -> bool:
        """Tell whether it stands at ``now``."""
        return self.revoked_at is None and self.valid_from <= now < self.valid_until


class Client(Kept):
    """A client of the gateway. ``role`` is a ClientRole; ``jwks`` a public JWK Set as JSON.

    How it authenticates and what its tokens are bound to are RFC 7591's
    token_endpoint_auth_method and RFC 8705's or RFC 9449's binding; the FAPI 2.0
    Security Profile, section 5.3.2.1, allows these and no others.
    """

    client_id: Annotated[str, AfterValidator(shapes.client_id)]
    role: Annotated[ClientRole.ValueType, AfterValidator(shapes.stated(ClientRole))]
    operator_id: str = ""
    jwks: Annotated[str, AfterValidator(public_jwks)]
    authentication: ClientAuthentication = "private_key_jwt"
    binding: TokenBinding = "mtls"
    certificate_thumbprints: _Thumbprints
    grant_types: Annotated[frozenset[GrantType], _NotEmpty, IN_ORDER] = frozenset(
        {"client_credentials"}
    )
    redirect_uris: Annotated[_RedirectUris, Field(validate_default=True)] = frozenset()
    signed_requests: bool = False
    removed_at: Instant | None = None

    @model_validator(mode="after")
    def _operator_fits_role(self) -> Self:
        if self.acts_for_operator != bool(self.operator_id):
            raise ValueError(
                "name the operator for roles OPERATOR and REGION, and none for other roles"
            )
        return self

    @field_validator("certificate_thumbprints")
    @classmethod
    def _certificates_fit_binding(
        cls, thumbprints: frozenset[str], info: ValidationInfo
    ) -> frozenset[str]:
        by_key_alone = (
            info.data.get("authentication") == "private_key_jwt"
            and info.data.get("binding") == "dpop"
        )
        if not thumbprints and not by_key_alone:
            raise ValueError(
                "give 1 to 8 thumbprints; only private_key_jwt with binding dpop needs none"
            )
        return thumbprints

    @field_validator("grant_types")
    @classmethod
    def _refresh_follows_code(cls, grant_types: frozenset[GrantType]) -> frozenset[GrantType]:
        if "refresh_token" in grant_types and "authorization_code" not in grant_types:
            raise ValueError("refresh_token goes with authorization_code only")
        return grant_types

    @field_validator("redirect_uris")
    @classmethod
    def _redirects_fit_grants(cls, uris: frozenset[str], info: ValidationInfo) -> frozenset[str]:
        if ("authorization_code" in info.data.get("grant_types", ())) != bool(uris):
            raise ValueError("give them with the grant type authorization_code, and only with it")
        return uris

    @property
    def acts_for_operator(self) -> bool:
        """Whether it acts for an operator, whose licence, grants and state bound it."""
        return self.role in _FOR_OPERATORS

    def has_key(self, thumbprint: str) -> bool:
        """Tell whether it can authenticate by a key or certificate of ``thumbprint``."""
        return thumbprint in self.certificate_thumbprints or thumbprint in key_thumbprints(
            self.jwks
        )

    @property
    def grantee(self) -> str:
        """To whom its scopes are granted: the operator it acts for, or itself."""
        return self.operator_id or self.client_id


class ScopeGrant(Kept):
    """One scope granted to an operator, or to a client of another role.

    Empty ``items``, ``purposes`` and ``regions`` mean all of the licence's;
    ``valid_until`` None means until withdrawn.
    """

    grant_id: Annotated[str, AfterValidator(shapes.licence_number)]
    grantee: Annotated[str, AfterValidator(shapes.client_id)]
    scope: Annotated[str, AfterValidator(shapes.scope_name)]
    items: Items = frozenset()
    purposes: Purposes = frozenset()
    regions: Regions = frozenset()
    valid_from: Instant
    valid_until: Instant | None = None
    withdrawn_at: Instant | None = None

    @model_validator(mode="after")
    def _period_has_length(self) -> Self:
        _require_length(self.valid_from, self.valid_until)
        return self

    def in_force(self, now: int) -> bool:
        """Tell whether it stands at ``now``."""
        return (
            self.withdrawn_at is None
            and self.valid_from <= now
            and (self.valid_until is None or now < self.valid_until)
        )


def _require_length(valid_from: int, valid_until: int | None) -> None:
    if valid_until is not None and valid_until <= valid_from:
        raise ValueError("the validity must end after it starts")
