"""RFC 9449 (DPoP) at the authorisation server: proofs are new, and tokens get their key.

Refresh tokens get none: those of confidential clients are bound to the client by its
authentication (section 5), so that a client may take a new key when it refreshes.
"""

import re
from typing import Final

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.clock import Clock
from gateway.oauth.client import RegisteredClient
from gateway.oauth.dpop_nonces import DpopNonces
from gateway.oauth.replay import ReplayCache
from gateway.oauth.request import TokenRequest
from gateway.oauth.rfc9449 import DpopProof, InvalidProof, verified_proof

_JKT: Final = re.compile(r"[A-Za-z0-9_-]{43}")


class InvalidDpopProofError(OAuth2Error):
    """The proof is missing, malformed, for another request or used (section 5)."""

    error = "invalid_dpop_proof"


class UseDpopNonceError(OAuth2Error):
    """The proof has no nonce of this server that still lives (section 8)."""

    error = "use_dpop_nonce"
    description = "Repeat the request with a new proof that has the nonce of the header DPoP-Nonce."


class StaleNonce(Exception):
    """The proof has no nonce of this server that still lives."""


class DpopProofs:
    """Tells whether proofs are new: made after a nonce of ours, and used once."""

    def __init__(self, nonces: DpopNonces, replay: ReplayCache) -> None:
        self.nonces = nonces
        self._replay = replay

    def require_nonce(self, proof: DpopProof, now: int) -> None:
        """Raise StaleNonce unless the proof has a nonce of ours that lives at ``now``."""
        if proof.nonce is None or not self.nonces.accepts(proof.nonce, now):
            raise StaleNonce

    def use(self, proof: DpopProof, now: int) -> None:
        """Use the proof up, for every process. It blocks on the store: call it in a thread.

        Section 11.1. Raises InvalidProof when it was used before, Refused
        TEMPORARILY_UNAVAILABLE when that cannot be told.
        """
        # No client_id has a space, so none can be taken for a key.
        holder = f"dpop {proof.thumbprint}"
        if not self._replay.claim(holder, proof.jti, expires_at=proof.usable_until, now=now):
            raise InvalidProof("The proof was used before; make one for each request.")


class DpopBinding:
    """Binds what the authorisation server issues to the keys that clients prove."""

    def __init__(self, proofs: DpopProofs, clock: Clock) -> None:
        self._proofs = proofs
        self._clock = clock

    def proof_of(self, request: TokenRequest) -> DpopProof | None:
        """Return the request's proof, not used up yet; None when it has none.

        Ask before the client is authenticated, so that the challenge for a nonce uses
        up no assertion. Raises InvalidDpopProofError or UseDpopNonceError.
        """
        if not request.proofs:
            return None
        # Section 4.3, point 1: not more than one DPoP header field.
        if len(request.proofs) > 1:
            raise InvalidDpopProofError("Send one DPoP header.")
        now = self._clock.now()
        try:
            proof = verified_proof(
                request.proofs[0], method=request.method, uri=request.uri, now=now
            )
            self._proofs.require_nonce(proof, now)
        except InvalidProof as error:
            raise InvalidDpopProofError(str(error)) from error
        except StaleNonce as error:
            raise UseDpopNonceError from error
        return proof

    def bound(self, client: RegisteredClient, proof: DpopProof | None) -> RegisteredClient:
        """Return the authenticated client with the key its token is to be bound to.

        A client registered for tokens bound by certificate gets no others: one that
        sends a proof expects another token than it would get, and is told so. Blocks on
        the store. Raises InvalidDpopProofError, InvalidRequestError.
        """
        if client.record.binding != "dpop":
            if proof is not None:
                raise _not_for_keys()
            return client
        if proof is None:
            raise InvalidDpopProofError(
                "Send a DPoP header: tokens of this client are bound to a key."
            )
        self._use(proof)
        return client.proven_with(proof.thumbprint)

    def pushed_key(
        self, client: RegisteredClient, proof: DpopProof | None, dpop_jkt: str | None
    ) -> str | None:
        """Return the thumbprint of the key a pushed request binds its code to; None without.

        Section 10.1: the parameter ``dpop_jkt``, or a proof, or both for one key. Blocks
        on the store. Raises InvalidDpopProofError, InvalidRequestError.
        """
        if proof is None and dpop_jkt is None:
            return None
        if client.record.binding != "dpop":
            raise _not_for_keys()
        if dpop_jkt is not None and not _JKT.fullmatch(dpop_jkt):
            raise InvalidRequestError("dpop_jkt must be the SHA-256 thumbprint of a key.")
        if proof is None:
            return dpop_jkt
        if dpop_jkt not in (None, proof.thumbprint):
            raise InvalidDpopProofError("The proof is of another key than dpop_jkt names.")
        self._use(proof)
        return proof.thumbprint

    def _use(self, proof: DpopProof) -> None:
        try:
            self._proofs.use(proof, self._clock.now())
        except InvalidProof as error:
            raise InvalidDpopProofError(str(error)) from error


class FreshNonces:
    """Gives a nonce with each answer to a request that has a proof (section 8.2)."""

    def __init__(self, app: ASGIApp, nonces: DpopNonces, clock: Clock) -> None:
        self._app = app
        self._nonces = nonces
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI has it."""

        async def send_with_nonce(message: Message) -> None:
            if message["type"] == "http.response.start":
                nonce = self._nonces.current(self._clock.now())
                MutableHeaders(scope=message)["DPoP-Nonce"] = nonce
            await send(message)

        proven = any(name == b"dpop" for name, _ in scope.get("headers", ()))
        await self._app(scope, receive, send_with_nonce if proven else send)


def key_confirmation(thumbprint: str) -> dict[str, dict[str, str]]:
    """Return the claim that binds a token to a key (section 6.1)."""
    return {"cnf": {"jkt": thumbprint}}


def _not_for_keys() -> InvalidRequestError:
    return InvalidRequestError(
        "Tokens of this client are bound to its certificate; leave DPoP out, or have its"
        " binding changed to dpop."
    )
