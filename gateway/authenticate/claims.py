"""Claims of access tokens: RFC 9068 section 2.2, and the binding this gateway requires."""

from typing import Annotated, Final, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from operators.authorization_details import Details

CERTIFICATE: Final = "x5t#S256"
KEY: Final = "jkt"
AUTHENTICATED: Final = "client_key"
"""Claim: thumbprint of the key (RFC 7638) or certificate (RFC 8705) by which the client
authenticated for the token. When that is taken from the client, its tokens end (G4)."""
MOST_ANCESTORS: Final = 4
"""How often a token may be exchanged on and on: each ancestor makes it longer."""

_Text = Annotated[str, StringConstraints(min_length=1, max_length=512)]
_Sha256 = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")]


class Confirmation(NamedTuple):
    """What a caller shows to be a token's holder, and what a token asks to be shown.

    ``method`` is CERTIFICATE with the thumbprint of the connection's certificate (RFC
    8705 section 3.1), or KEY with that of the key that signed the proof (RFC 9449
    section 6.1).
    """

    method: Literal["x5t#S256", "jkt"]
    thumbprint: str


class _Cnf(BaseModel):
    """The claim ``cnf``: one way to confirm, never two of which the weaker would do."""

    model_config = ConfigDict(strict=True, frozen=True)

    certificate: _Sha256 | None = Field(default=None, alias=CERTIFICATE)
    key: _Sha256 | None = Field(default=None, alias=KEY)

    @model_validator(mode="after")
    def _one_method(self) -> Self:
        if (self.certificate is None) == (self.key is None):
            raise ValueError("a token is bound to a certificate or to a key")
        return self

    @property
    def confirmation(self) -> Confirmation:
        """What must be shown."""
        if self.key is not None:
            return Confirmation(KEY, self.key)
        assert self.certificate is not None
        return Confirmation(CERTIFICATE, self.certificate)


class Actor(BaseModel):
    """Who acts for the ``sub`` of a token, and who acted before (RFC 8693 section 4.1)."""

    model_config = ConfigDict(strict=True, frozen=True)

    sub: _Text
    act: "Actor | None" = None


class Ancestor(BaseModel):
    """A token that another was exchanged from: whose it was, and what it was got by."""

    model_config = ConfigDict(strict=True, frozen=True)

    jti: _Text
    client_id: _Text
    client_key: _Sha256


class TokenClaims(BaseModel):
    """What an access token of this gateway says.

    ``sub`` is who acts: the client itself, or a person; for a person ``auth_time``
    (seconds, UTC) and ``acr`` tell how they signed in. ``grant_id`` is the grant the
    token comes from, ``opens`` the scopes of methods that its managed scopes stood for when
    it was approved; ``act`` who acts by exchange; ``ancestors`` the tokens it was exchanged
    from, oldest first.
    """

    model_config = ConfigDict(strict=True, frozen=True)

    iss: _Text
    sub: _Text
    aud: _Text
    client_id: _Text
    scope: Annotated[str, StringConstraints(max_length=2_048)]
    jti: _Text
    iat: int
    exp: int
    cnf: _Cnf
    client_key: _Sha256
    authorization_details: Annotated[Details, Field(min_length=1)] | None = None
    grant_id: _Text | None = None
    auth_time: int | None = None
    acr: _Text | None = None
    act: Actor | None = None
    ancestors: Annotated[list[Ancestor], Field(max_length=MOST_ANCESTORS)] = []
    opens: Annotated[str, StringConstraints(max_length=4_096)] | None = None
