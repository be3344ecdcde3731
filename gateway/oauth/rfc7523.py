"""RFC 7523: client authentication by a signed assertion (``private_key_jwt``).

Together with a registered certificate on the connection (RFC 8705), or with a proof
(RFC 9449) where tokens are bound to a key: a stolen assertion is worth nothing alone.
"""

import math
from collections.abc import Callable
from contextvars import ContextVar
from typing import Annotated, Any, Final

from authlib.oauth2.rfc6749 import InvalidClientError
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from joserfc.jwk import KeySet
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from gateway.clock import Clock
from gateway.oauth.client import RegisteredClient
from gateway.oauth.jose import ALGORITHMS, MALFORMED, ProfileRegistry, claims_signed_by
from gateway.oauth.replay import ReplayCache
from gateway.oauth.request import TokenRequest
from gateway.oauth.rfc8705 import require_registered_certificate

SKEW_SECONDS: Final = 30
"""How far a client's clock may run ahead. FAPI 2.0 section 5.3.2.1: up to 10 s must be
accepted, more than 60 s must not."""

ASSERTION_SECONDS: Final = 300
"""Longest time an assertion can be used, whatever its ``exp`` says."""

# Authlib's caller drops what checks an assertion; a request is checked in one context.
_signed_with: ContextVar[str] = ContextVar("creditgate_assertion_key")

_NumericDate = int | float
QueryClient = Callable[[str], RegisteredClient | None]


class AssertionClaims(BaseModel):
    """Claims of an assertion (RFC 7523 section 3).

    ``aud`` is one string: with a list, one assertion could serve several servers, and
    one of them could replay it at another.
    """

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)

    iss: str
    sub: str
    aud: str
    exp: _NumericDate
    iat: _NumericDate | None = None
    nbf: _NumericDate | None = None
    jti: Annotated[str, StringConstraints(min_length=1, max_length=256)]


def usable_until(claims: AssertionClaims, issuer: str, now: int) -> int:
    """Return the second from which the assertion is refused for its age.

    Raises InvalidClientError when its claims do not make it usable at ``now``. Libraries
    that set ``exp`` an hour ahead (Authlib does) can be used: their assertions end
    `ASSERTION_SECONDS` after ``iat``.
    """
    if claims.iss != claims.sub:
        raise InvalidClientError(description="The assertion's iss and sub must be the client_id.")
    # FAPI 2.0 section 5.3.2.1, clause 8: the issuer alone, though RFC 9126 section 2 has more.
    if claims.aud != issuer:
        raise InvalidClientError(description="The assertion's aud must be this server's issuer.")
    if claims.exp <= now:
        raise InvalidClientError(description="The assertion has expired.")
    for moment in (claims.iat, claims.nbf):
        if moment is not None and moment > now + SKEW_SECONDS:
            raise InvalidClientError(description="The assertion is not valid yet.")
    if claims.iat is None:
        if claims.exp > now + ASSERTION_SECONDS + SKEW_SECONDS:
            raise InvalidClientError(
                description="The assertion lives too long; let exp be within 300 seconds."
            )
        return math.ceil(claims.exp)
    until = min(claims.exp, claims.iat + ASSERTION_SECONDS)
    if until <= now:
        raise InvalidClientError(description="The assertion is too old; make one per request.")
    return math.ceil(until)


class PrivateKeyJwtOverMutualTls(JWTBearerClientAssertion):
    """Authlib's assertion check, held to the profile's algorithms and to one use."""

    # Authlib has it overridden; its stub says Final.
    CLIENT_AUTH_METHOD = "private_key_jwt"  # pyright: ignore[reportGeneralTypeIssues]

    def __init__(self, issuer: str, replay: ReplayCache, clock: Clock) -> None:
        # The stub still asks for token_url, deprecated since Authlib 1.8.
        super().__init__()  # pyright: ignore[reportCallIssue]
        self._issuer = issuer
        self._replay = replay
        self._clock = clock
        self._registry = ProfileRegistry()

    def __call__(self, query_client: QueryClient, request: TokenRequest) -> RegisteredClient | None:
        """Return the client that signed the request's assertion; None without assertion.

        Raises InvalidClientError when certificate, signature or claims do not hold.
        """
        named = request.form.get("client_id")

        def query_certified(client_id: str) -> RegisteredClient | None:
            # RFC 7521 section 4.2: a client_id parameter must name the same client.
            if named is not None and named != client_id:
                raise InvalidClientError(
                    description="client_id and the assertion's sub name different clients."
                )
            client = query_client(client_id)
            # What is bound to a key needs no certificate (RFC 9449).
            if client is not None and client.record.binding == "mtls":
                require_registered_certificate(client, request.thumbprint)
            return client

        client: RegisteredClient | None = super().__call__(query_certified, request)
        if client is None:
            return None
        client = client.authenticated_by(_signed_with.get())
        return client if request.thumbprint is None else client.showing(request.thumbprint)

    def extract_assertion(self, assertion: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return header and claims, not yet verified."""
        try:
            # The stub is of a version before this method.
            return super().extract_assertion(assertion)  # pyright: ignore[reportAttributeAccessIssue]
        except MALFORMED as error:
            raise InvalidClientError(description="The assertion is no JWT.") from error

    def get_audiences(self) -> list[str]:
        """Return what an assertion's ``aud`` may be."""
        return [self._issuer]

    # The parameter headers, which the stub has, is deprecated since Authlib 1.8.
    def resolve_client_public_key(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, client: RegisteredClient
    ) -> KeySet:
        """Return the client's registered keys: no others count, whatever the header says."""
        return client.keys

    # The stub names the claims type of the JOSE that Authlib no longer uses.
    def process_assertion_claims(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, assertion: str, resolve_key: KeySet
    ) -> dict[str, Any]:
        """Verify signature, claims and first use; return the claims."""
        header, _ = self.extract_assertion(assertion)
        if header.get("alg") not in ALGORITHMS:
            raise InvalidClientError(
                description=f"Sign the assertion with one of {', '.join(ALGORITHMS)}."
            )
        signed = claims_signed_by(resolve_key, assertion, header, self._registry)
        if signed is None:
            raise InvalidClientError(
                description="The assertion is not signed by a key registered for this client."
            )
        self.verify_claims(signed.claims)
        _signed_with.set(signed.thumbprint)
        return signed.claims

    def verify_claims(self, claims: dict[str, Any]) -> None:
        """Check verified claims and take their jti."""
        try:
            read = AssertionClaims.model_validate(claims)
        except ValidationError as error:
            fields = sorted({str(problem["loc"][0]) for problem in error.errors()})
            raise InvalidClientError(
                description=f"The assertion lacks valid {', '.join(fields)}."
            ) from error
        now = self._clock.now()
        until = usable_until(read, self._issuer, now)
        if not self._replay.claim(read.sub, read.jti, expires_at=until, now=now):
            raise InvalidClientError(description="The assertion was used before; make a new one.")
