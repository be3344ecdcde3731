"""The guard: who calls, and whether it may call this method at all (G3, G4)."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import grpc

from gateway.authenticate.authenticator import Authenticator
from gateway.authenticate.caller import Caller
from gateway.authenticate.proof import nonce_wanted, proof_invalid, read_proof
from gateway.authority.feed import AuthorityFeed
from gateway.clock import Clock
from gateway.oauth.dpop import DpopProofs, StaleNonce
from gateway.oauth.rfc9449 import InvalidProof
from operators.persons import SignIn, acting_administrator, require_person
from operators.rules import require_call

_CERTIFICATE: Final = "x509_pem_cert"
_AUTHORIZATION: Final = "authorization"
PROOF: Final = "dpop"
"""Metadata of the proof that goes with a token bound to a key."""

Metadata = Mapping[str, Any]


class Guard:
    """Admits calls; one event loop's own. ``url`` is the public one of the methods."""

    def __init__(
        self,
        authenticator: Authenticator,
        feed: AuthorityFeed,
        clock: Clock,
        proofs: DpopProofs,
        url: str,
    ) -> None:
        self._authenticator = authenticator
        self._feed = feed
        self._clock = clock
        self._proofs = proofs
        self._url = url.rstrip("/")

    def authenticate(
        self,
        context: grpc.aio.ServicerContext[bytes, bytes],
        metadata: Metadata,
        proven: str | None,
    ) -> Caller:
        """Return who is calling.

        Raises Refused: ADMINISTRATOR_NOT_ACTIVE, and see `Authenticator.authenticate`.
        """
        certificates: Sequence[bytes] = context.auth_context().get(_CERTIFICATE, ())  # type: ignore[assignment]
        authorization = metadata.get(_AUTHORIZATION)
        view = self._feed.current()
        caller = self._authenticator.authenticate(
            certificates[0] if certificates else None,
            authorization if isinstance(authorization, str) else None,
            view,
            self._clock.now(),
            proven,
        )
        # Here, not with the scope: it ends a stream too, at its next message.
        acting_administrator(view.authority, caller.principal)
        return caller

    def nonce(self) -> str:
        """Return the nonce that proofs should have from now on."""
        return self._proofs.nonces.current(self._clock.now())

    async def prove(
        self, context: grpc.aio.ServicerContext[bytes, bytes], metadata: Metadata, path: str
    ) -> str:
        """Use up the proof of a call of the method ``path``; return its key's thumbprint.

        A proof is not used up for a caller who is refused anyway. Raises Refused
        TOKEN_PROOF_INVALID, TOKEN_PROOF_NONCE, and as `authenticate`.
        """
        values = [value for key, value in context.invocation_metadata() or () if key == PROOF]
        authorization = metadata.get(_AUTHORIZATION)
        now = self._clock.now()
        proof = read_proof(
            values,
            authorization if isinstance(authorization, str) else None,
            self._url + path,
            now,
        )
        self.authenticate(context, metadata, proof.thumbprint)
        try:
            self._proofs.require_nonce(proof, now)
            await asyncio.to_thread(self._proofs.use, proof, now)
        except StaleNonce as error:
            raise nonce_wanted() from error
        except InvalidProof as error:
            raise proof_invalid(str(error)) from error
        return proof.thumbprint

    def require_scope(self, caller: Caller, scope: str) -> None:
        """Raise Refused unless ``caller`` may call methods of ``scope`` now.

        Both the client and the person it acts for must be allowed to. Methods without a scope
        are public: who is authenticated may call them, whatever the token is for.
        """
        if not scope:
            return
        authority, now = self._feed.current().authority, self._clock.now()
        require_call(authority, caller.client_id, scope, caller.token_scopes, now)
        sign_in = SignIn(caller.principal, caller.auth_time, caller.acr)
        require_person(authority, sign_in, scope, now)
