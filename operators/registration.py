"""Dynamic registration (RFC 7591, RFC 7592) as the authority log keeps it.

A software statement lets an operator register one client under its licence; a
registration lets that client manage itself afterwards.
"""

from typing import Annotated, Final, Self, cast

from pydantic import AfterValidator, Field, model_validator

from operators import shapes
from operators.kept import Kept
from operators.model import Instant

SOFTWARE_STATEMENT: Final = "software_statement"
CLIENT_REGISTRATION: Final = "client_registration"

_Sha256 = Annotated[str, AfterValidator(shapes.certificate_thumbprint)]
StatementId = Annotated[
    str,
    AfterValidator(
        shapes.matching("[A-Za-z0-9_-]{1,64}", "use the id that IssueSoftwareStatement gave")
    ),
]
SoftwareId = Annotated[
    str,
    AfterValidator(
        shapes.matching(
            "[A-Za-z0-9._~-]{1,64}", "use 1 to 64 characters: letters, digits and . _ ~ -"
        )
    ),
]


class SoftwareStatement(Kept):
    """A licence credential that registers one client; see RFC 7591 section 2.3.

    Good for [issued_at, expires_at); ``used_by`` is the client registered with it.
    """

    statement_id: StatementId
    operator_id: Annotated[str, AfterValidator(shapes.operator_id)]
    licence: Annotated[str, AfterValidator(shapes.licence_number)]
    software_id: SoftwareId
    issued_at: Instant
    expires_at: Instant
    used_by: Annotated[str, AfterValidator(shapes.client_id)] | None = None

    @model_validator(mode="after")
    def _has_life(self) -> Self:
        if self.expires_at <= self.issued_at:
            raise ValueError("the statement must expire after it was issued")
        return self


class ClientRegistration(Kept):
    """What is known of a client that registered itself, besides the client.

    ``token_digest`` is the SHA-256 of its registration access token, in base64url.
    """

    client_id: Annotated[str, AfterValidator(shapes.client_id)]
    statement_id: StatementId
    software_id: SoftwareId
    software_version: Annotated[str, Field(max_length=64, pattern="^[ -~]*$")] = ""
    client_name: Annotated[str, AfterValidator(shapes.display_name)]
    token_digest: _Sha256
    registered_at: Instant

    @model_validator(mode="before")
    @classmethod
    def _without_certificate(cls, document: object) -> object:
        # Earlier documents name the certificate registered over; what may manage a client
        # is the certificates it has now.
        if not isinstance(document, dict):
            return document
        fields = cast("dict[str, object]", document)
        return {name: value for name, value in fields.items() if name != "certificate"}
