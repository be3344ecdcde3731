"""Who calls: an RFC 9068 access token, verified by PyJWT on every call."""

from dataclasses import dataclass
from typing import Annotated, Any, Final

import jwt
from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

AUDIENCE: Final = "urn:creditgate:records"
ISSUER: Final = "https://localhost"
SCOPE: Final = "credit.records:read"
_CLAIMS: Final = ["iss", "sub", "aud", "client_id", "scope", "iat", "exp", "jti"]
_bearer: Final = HTTPBearer()


@dataclass(frozen=True, slots=True)
class Caller:
    """The client a token was issued to."""

    client_id: str


async def caller(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials, Depends(_bearer)]
) -> Caller:
    """Return who calls, or answer 401 or 403."""
    key: jwt.PyJWK = request.app.state.signing_key
    try:
        claims: dict[str, Any] = jwt.decode(
            credentials.credentials,
            key,
            algorithms=["ES256"],
            audience=AUDIENCE,
            issuer=ISSUER,
            options={"require": _CLAIMS},
        )
    except jwt.InvalidTokenError as error:
        raise HTTPException(401, "The access token is not valid.") from error
    if SCOPE not in claims["scope"].split():
        raise HTTPException(403, f"The token needs the scope {SCOPE}.")
    return Caller(claims["client_id"])
