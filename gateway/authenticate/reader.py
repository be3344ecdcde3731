"""Reading access tokens: signature, type, issuer, audience (RFC 9068 section 4)."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from joserfc import jws
from joserfc.jwk import ECKey, OKPKey
from pydantic import ValidationError

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.claims import TokenClaims
from gateway.oauth.jose import MALFORMED, ProfileRegistry, verified_claims
from gateway.oauth.keys import PublicJwk

_MOST_CHARACTERS: Final = 12_288
_SKEW_SECONDS: Final = 30
# Section 2.1 recommends the short form, section 4 has both accepted.
_TYPES: Final = ("at+jwt", "application/at+jwt")


class ReadToken(NamedTuple):
    """A token's claims, and the kid of the key that signed them."""

    claims: TokenClaims
    kid: str


class TokenReader:
    """Reads tokens of one issuer for one audience, wherever they are presented."""

    def __init__(self, issuer: str, audience: str) -> None:
        self._issuer = issuer
        self._audience = audience
        self._registry = ProfileRegistry()

    def read(self, token: str, now: int, signing_keys: Mapping[str, PublicJwk]) -> ReadToken:
        """Return what ``token`` says when one of ``signing_keys`` (by kid) signed it.

        Whether it is over, revoked or the caller's own is not looked at. Raises Refused
        TOKEN_INVALID.
        """
        if len(token) > _MOST_CHARACTERS:
            raise token_invalid("It is too long.")
        try:
            header = jws.extract_compact(token.encode("ascii")).headers()
            typ, kid = header["typ"], header["kid"]
            jwk = signing_keys.get(kid)
            # The resource server MUST verify that "typ" is "at+jwt" and reject others.
            if typ.lower() not in _TYPES or jwk is None:
                raise token_invalid("It is of another type or signed with a key unknown here.")
            key = (ECKey if jwk["kty"] == "EC" else OKPKey).import_key(dict(jwk))
            claims = TokenClaims.model_validate(
                verified_claims(token, key, jwk["alg"], self._registry)
            )
        except (*MALFORMED, ValidationError) as error:
            raise token_invalid("Its form, signature or claims are not right.") from error
        # The issuer identifier MUST exactly match the value of the "iss" claim. The resource
        # server MUST validate that "aud" contains an identifier it expects for itself.
        if claims.iss != self._issuer or claims.aud != self._audience:
            raise token_invalid("It was issued by or for another server.")
        if claims.iat > now + _SKEW_SECONDS:
            raise token_invalid("It was issued in the future.")
        return ReadToken(claims, kid)


def token_invalid(why: str) -> Refused:
    """Return the refusal of a token that is none of ours, and ``why``."""
    return Refused(
        RefusalReason.REFUSAL_REASON_TOKEN_INVALID,
        f"The access token is not valid. {why} Ask the token endpoint for a new one.",
    )
