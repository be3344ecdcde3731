"""Verifying access tokens: RFC 9068 section 4, bound by RFC 8705 section 3.

Verifying a signature costs about 140 µs, so verified tokens are remembered; what can
change after that (time, the connection, the keys that stand) is checked at every call.
"""

import hmac
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from joserfc import jws
from joserfc.jwk import ECKey, OKPKey
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.oauth.jose import MALFORMED, ProfileRegistry, verified_claims
from gateway.oauth.keys import PublicJwk

_MOST_REMEMBERED: Final = 16_384
_MOST_CHARACTERS: Final = 4_096
_SKEW_SECONDS: Final = 30
# Section 2.1 recommends the short form, section 4 has both accepted.
_TYPES: Final = ("at+jwt", "application/at+jwt")
_Text = Annotated[str, StringConstraints(min_length=1, max_length=512)]


class _Confirmation(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)

    thumbprint: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")] = Field(
        alias="x5t#S256"
    )


class _TokenClaims(BaseModel):
    """The claims RFC 9068 section 2.2 requires, and the binding this gateway requires."""

    model_config = ConfigDict(strict=True, frozen=True)

    iss: _Text
    sub: _Text
    aud: _Text
    client_id: _Text
    scope: Annotated[str, StringConstraints(max_length=2_048)]
    jti: _Text
    iat: int
    exp: int
    cnf: _Confirmation


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """What a token says, its signature, issuer and audience verified.

    ``thumbprint`` is of the certificate it is bound to; ``kid`` names the key that
    signed it; ``expires_at`` is in seconds, UTC.
    """

    client_id: str
    scopes: frozenset[str]
    expires_at: int
    thumbprint: str
    kid: str


class TokenVerifier:
    """Verifies tokens of one issuer for one audience; one event loop's own."""

    def __init__(self, issuer: str, audience: str) -> None:
        self._issuer = issuer
        self._audience = audience
        self._registry = ProfileRegistry()
        self._remembered: OrderedDict[str, VerifiedToken] = OrderedDict()

    def verify(
        self, token: str, thumbprint: str, now: int, signing_keys: Mapping[str, PublicJwk]
    ) -> VerifiedToken:
        """Return what ``token`` says, when it is good at ``now`` on this connection.

        ``thumbprint`` is the connection's certificate's; ``signing_keys`` the standing
        keys by kid. Raises Refused TOKEN_INVALID, TOKEN_EXPIRED or TOKEN_NOT_YOURS.
        """
        remembered = self._remembered
        verified = remembered.get(token)
        if verified is None:
            verified = self._verified(token, now, signing_keys)
            remembered[token] = verified
            if len(remembered) > _MOST_REMEMBERED:
                remembered.popitem(last=False)
        else:
            remembered.move_to_end(token)
            if verified.kid not in signing_keys:
                del remembered[token]
                raise _invalid("It was signed with a key that no longer stands.")
        if now >= verified.expires_at:
            del remembered[token]
            raise Refused(
                RefusalReason.REFUSAL_REASON_TOKEN_EXPIRED,
                "The access token has expired; ask the token endpoint for a new one.",
            )
        if not hmac.compare_digest(verified.thumbprint, thumbprint):
            raise Refused(
                RefusalReason.REFUSAL_REASON_TOKEN_NOT_YOURS,
                "The access token is bound to another client certificate than this"
                " connection's; connect with the certificate it was issued over.",
            )
        return verified

    def _verified(
        self, token: str, now: int, signing_keys: Mapping[str, PublicJwk]
    ) -> VerifiedToken:
        if len(token) > _MOST_CHARACTERS:
            raise _invalid("It is too long.")
        try:
            header = jws.extract_compact(token.encode("ascii")).headers()
            typ, kid = header["typ"], header["kid"]
            jwk = signing_keys.get(kid)
            # The resource server MUST verify that "typ" is "at+jwt" and reject others.
            if typ.lower() not in _TYPES or jwk is None:
                raise _invalid("It is of another type or signed with a key unknown here.")
            key = (ECKey if jwk["kty"] == "EC" else OKPKey).import_key(dict(jwk))
            claims = _TokenClaims.model_validate(
                verified_claims(token, key, jwk["alg"], self._registry)
            )
        except (*MALFORMED, ValidationError) as error:
            raise _invalid("Its form, signature or claims are not right.") from error
        # The issuer identifier MUST exactly match the value of the "iss" claim. The resource
        # server MUST validate that "aud" contains an identifier it expects for itself.
        if claims.iss != self._issuer or claims.aud != self._audience:
            raise _invalid("It was issued by or for another server.")
        if claims.iat > now + _SKEW_SECONDS:
            raise _invalid("It was issued in the future.")
        return VerifiedToken(
            claims.client_id,
            frozenset(claims.scope.split()),
            claims.exp,
            claims.cnf.thumbprint,
            kid,
        )


def _invalid(why: str) -> Refused:
    return Refused(
        RefusalReason.REFUSAL_REASON_TOKEN_INVALID,
        f"The access token is not valid. {why} Ask the token endpoint for a new one.",
    )
