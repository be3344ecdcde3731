"""Software statements (RFC 7591 section 2.3): licence credentials, signed by this gateway.

A JWT of a type of its own (RFC 8725 section 3.11), so that no token can be taken for
one. What it says is in the authority log too, where its one use is decided.
"""

from collections.abc import Mapping
from typing import Annotated, Final

from authlib.oauth2.rfc7591 import InvalidSoftwareStatementError
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from gateway.oauth.jose import MALFORMED, ProfileRegistry, verified_claims
from gateway.oauth.keys import PublicJwk, SigningKeyBook
from gateway.oauth.signing import SigningKeys
from operators.registration import SoftwareStatement

TYPE: Final = "licence-statement+jwt"
MOST_CHARACTERS: Final = 4_096
_Text = Annotated[str, StringConstraints(min_length=1, max_length=512)]


class StatementClaims(BaseModel):
    """What a statement says; ``sub`` is the operator's id, ``jti`` the statement's."""

    model_config = ConfigDict(strict=True, frozen=True)

    iss: _Text
    aud: _Text
    sub: _Text
    licence: _Text
    software_id: _Text
    jti: _Text
    iat: int
    exp: int

    @classmethod
    def of(cls, statement: SoftwareStatement, issuer: str) -> "StatementClaims":
        """Return the claims of ``statement``, addressed to its issuer itself."""
        return cls(
            iss=issuer,
            aud=issuer,
            sub=statement.operator_id,
            licence=statement.licence,
            software_id=statement.software_id,
            jti=statement.statement_id,
            iat=statement.issued_at,
            exp=statement.expires_at,
        )


def signed_statement(
    keys: SigningKeys, book: SigningKeyBook, issuer: str, statement: SoftwareStatement, now: int
) -> str:
    """Return the signed form of ``statement``.

    Raises Refused TEMPORARILY_UNAVAILABLE when no signing key is at hand.
    """
    claims = StatementClaims.of(statement, issuer)
    return keys.sign(book, claims.model_dump(), TYPE, now)


def read_statement(
    text: str, signing_keys: Mapping[str, PublicJwk], issuer: str, now: int
) -> StatementClaims:
    """Return what the statement ``text`` says, when this issuer signed it and it lives.

    Raises InvalidSoftwareStatementError.
    """
    if len(text) > MOST_CHARACTERS:
        raise _invalid("It is too long.")
    try:
        header = jws.extract_compact(text.encode("ascii")).headers()
        jwk = signing_keys.get(header["kid"])
        if header["typ"] != TYPE or jwk is None:
            raise _invalid(f"Its typ must be {TYPE}, its key a standing one of this server.")
        key = (ECKey if jwk["kty"] == "EC" else OKPKey).import_key(dict(jwk))
        claims = StatementClaims.model_validate(
            verified_claims(text, key, jwk["alg"], ProfileRegistry())
        )
    except (*MALFORMED, ValidationError) as error:
        raise _invalid("Its form, signature or claims are not right.") from error
    if claims.iss != issuer or claims.aud != issuer:
        raise _invalid("It was issued by or for another server.")
    if claims.exp <= now:
        raise _invalid("It has expired.")
    return claims


def _invalid(why: str) -> InvalidSoftwareStatementError:
    return InvalidSoftwareStatementError(
        description=f"The software statement cannot be used. {why} Ask the administrator for a"
        " new one."
    )
