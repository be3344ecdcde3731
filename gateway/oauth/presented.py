"""Access tokens presented at this server's own endpoints (RFC 6750, RFC 8705, RFC 9449).

The gateway's rules hold here too: the token stands, its holder shows what it is bound
to, and its client may still act.
"""

from dataclasses import dataclass
from typing import Final, Literal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.claims import CERTIFICATE, KEY, Confirmation
from gateway.authenticate.reader import TokenReader
from gateway.authenticate.token import (
    VerifiedToken,
    ancestors_stand,
    require_good,
    require_holder,
)
from gateway.oauth.context import AuthorizationContext, presented_thumbprint
from gateway.oauth.dpop import DpopProofs, StaleNonce
from gateway.oauth.issued import still_holds
from gateway.oauth.jose import ALGORITHMS
from gateway.oauth.rfc9449 import InvalidProof, verified_proof
from gateway.oauth.uncached import NO_STORE

_TOKEN_FAULTS: Final = (
    RefusalReason.REFUSAL_REASON_TOKEN_INVALID,
    RefusalReason.REFUSAL_REASON_TOKEN_EXPIRED,
    RefusalReason.REFUSAL_REASON_TOKEN_REVOKED,
    RefusalReason.REFUSAL_REASON_TOKEN_NOT_YOURS,
)
Scheme = Literal["Bearer", "DPoP"]


@dataclass(frozen=True, slots=True)
class Presented:
    """What a request shows: token and scheme, proofs, and the connection's certificate.

    ``url`` is the endpoint's own, not what the client's Host header makes of it.
    """

    method: str
    url: str
    scheme: Scheme
    token: str
    proofs: tuple[str, ...]
    thumbprint: str | None

    @classmethod
    def of(cls, request: Request, url: str) -> "Presented":
        """Return what ``request`` shows. Raises TokenRefused when it has no token."""
        # RFC 9110 section 11.1: the scheme's case does not matter.
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        known: dict[str, Scheme] = {"bearer": "Bearer", "dpop": "DPoP"}
        named = known.get(scheme.lower())
        if named is None or not token:
            raise TokenRefused(401, "Bearer", "", "Send an access token in Authorization.")
        proofs = tuple(request.headers.getlist("dpop"))
        return cls(request.method, url, named, token, proofs, presented_thumbprint(request))


class TokenRefused(Exception):
    """The token does not open the endpoint: why, as RFC 6750 section 3.1 says it.

    ``error`` is "" where the request showed no token at all.
    """

    def __init__(self, status: int, scheme: Scheme, error: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.scheme = scheme
        self.error = error
        self.description = description

    def response(self) -> Response:
        """Return the answer with its challenge."""
        challenge = [f'error="{self.error}"'] if self.error else []
        if self.scheme == "DPoP":
            challenge.append(f'algs="{" ".join(ALGORITHMS)}"')
        return JSONResponse(
            {"error": self.error or "invalid_token", "error_description": self.description},
            self.status,
            headers={
                **NO_STORE,
                "WWW-Authenticate": f"{self.scheme} {', '.join(challenge)}".rstrip(),
            },
        )


class PresentedTokens:
    """Checks tokens presented to this server; from any thread."""

    def __init__(self, context: AuthorizationContext, proofs: DpopProofs) -> None:
        self._context = context
        self._proofs = proofs
        self._reader = TokenReader(context.endpoints.issuer, context.audience)

    def verified(self, shown: Presented, scope: str) -> VerifiedToken:
        """Return the token ``shown`` when it opens endpoints of ``scope`` for its holder.

        Blocks on the store where a proof comes with it. Raises TokenRefused, and Refused
        AUTHORITY_UNKNOWN or TEMPORARILY_UNAVAILABLE.
        """
        now = self._context.clock.now()
        view = self._context.authority()
        try:
            token = VerifiedToken.of(self._reader.read(shown.token, now, view.signing_keys))
            require_good(token, now, view)
            require_holder(token.confirmation, self._confirmation(shown, now))
        except Refused as refused:
            if refused.reason not in _TOKEN_FAULTS:
                raise
            raise TokenRefused(401, shown.scheme, "invalid_token", refused.message) from refused
        client = self._context.client(token.client_id)
        if (
            client is None
            or not still_holds(client, token.confirmation, token.client_key)
            or not ancestors_stand(token.ancestors, view.authority)
        ):
            raise TokenRefused(
                401, shown.scheme, "invalid_token", "The client or a key of its was removed."
            )
        if not client.may_act:
            raise TokenRefused(
                403, shown.scheme, "insufficient_scope", "The client's operator may not act."
            )
        if scope not in token.scopes & client.granted:
            raise TokenRefused(
                403, shown.scheme, "insufficient_scope", f"The token needs the scope {scope}."
            )
        return token

    def _confirmation(self, shown: Presented, now: int) -> Confirmation:
        if shown.scheme == "Bearer":
            return Confirmation(CERTIFICATE, shown.thumbprint or "")
        # RFC 9449 section 4.3, point 1: one DPoP header field.
        if len(shown.proofs) != 1:
            raise TokenRefused(401, "DPoP", "invalid_dpop_proof", "Send one DPoP header.")
        try:
            proof = verified_proof(
                shown.proofs[0], method=shown.method, uri=shown.url, now=now, token=shown.token
            )
            self._proofs.require_nonce(proof, now)
            self._proofs.use(proof, now)
        except InvalidProof as error:
            raise TokenRefused(401, "DPoP", "invalid_dpop_proof", str(error)) from error
        except StaleNonce as error:
            raise TokenRefused(
                401, "DPoP", "use_dpop_nonce", "Make a proof with the nonce of DPoP-Nonce."
            ) from error
        return Confirmation(KEY, proof.thumbprint)
