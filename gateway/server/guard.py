"""The guard: who calls, and whether it may call this method at all (G3, G4)."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import grpc

from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.authenticate.authenticator import Authenticator
from gateway.authenticate.caller import Caller
from gateway.authenticate.proof import nonce_wanted, proof_invalid, read_proof
from gateway.authority.feed import AuthorityFeed
from gateway.authority.view import AuthorityView
from gateway.clock import Clock
from gateway.oauth.dpop import DpopProofs, StaleNonce
from gateway.oauth.rfc9449 import InvalidProof
from operators.persons import SignIn, acting_administrator, require_person
from operators.rules import require_call

_CERTIFICATE: Final = "x509_pem_cert"
_AUTHORIZATION: Final = "authorization"
PROOF: Final = "dpop"
"""Metadata of the proof that goes with a token bound to a key."""

_MOST_REMEMBERED: Final = 4_096
_REGION: Final = ClientRole.CLIENT_ROLE_REGION

Metadata = Mapping[str, Any]


class _Admission(NamedTuple):
    """Who a certificate, or a proved key, with a token is: by one view and for one second, so
    that deciding again would come to the same."""

    view: AuthorityView
    now: int
    certificate: bytes | None
    proven: str | None
    caller: Caller


class _Let(NamedTuple):
    """Whom a scope was not refused, by which view and in which second: as for `_Admission`."""

    caller: Caller
    view: AuthorityView
    now: int


class Guard:
    """Admits calls; one event loop's own. ``url`` is the public one of the methods;
    ``require_region`` raises Refused for the client of a region that does not stand."""

    def __init__(
        self,
        authenticator: Authenticator,
        feed: AuthorityFeed,
        clock: Clock,
        proofs: DpopProofs,
        url: str,
        require_region: Callable[[str], object],
    ) -> None:
        self._authenticator = authenticator
        self._feed = feed
        self._clock = clock
        self._proofs = proofs
        self._url = url.rstrip("/")
        self._require_region = require_region
        self._admissions: dict[str, _Admission] = {}
        # By client and scope.
        self._let: dict[tuple[str, str], _Let] = {}

    def authenticate(
        self,
        context: grpc.aio.ServicerContext[bytes, bytes],
        metadata: Metadata,
        proven: str | None,
    ) -> Caller:
        """Return who is calling.

        Raises Refused: ADMINISTRATOR_NOT_ACTIVE, FEDERATION_UNKNOWN and REGION_NOT_TRUSTED for a
        region, and see `Authenticator.authenticate`.
        """
        certificates: Sequence[bytes] = context.auth_context().get(_CERTIFICATE, ())  # type: ignore[assignment]
        certificate = certificates[0] if certificates else None
        value = metadata.get(_AUTHORIZATION)
        authorization = value if isinstance(value, str) else ""
        view, now = self._feed.current(), self._clock.now()
        known = self._admissions.get(authorization)
        if known is None or known[:-1] != (view, now, certificate, proven):
            known = self._admit(view, now, certificate, authorization, proven)
        caller = known.caller
        if caller.role == _REGION:
            self._require_region(caller.client_id)
        return caller

    def _admit(
        self,
        view: AuthorityView,
        now: int,
        certificate: bytes | None,
        authorization: str,
        proven: str | None,
    ) -> _Admission:
        caller = self._authenticator.authenticate(
            certificate, authorization or None, view, now, proven
        )
        # Here, not with the scope: it ends a stream too, at its next message.
        acting_administrator(view.authority, caller.principal)
        if len(self._admissions) >= _MOST_REMEMBERED:
            self._admissions.clear()
        admission = self._admissions[authorization] = _Admission(
            view, now, certificate, proven, caller
        )
        return admission

    def nonce(self) -> str:
        """Return the nonce that proofs should have from now on."""
        return self._proofs.nonces.current(self._clock.now())

    async def prove(
        self,
        context: grpc.aio.ServicerContext[bytes, bytes],
        metadata: Metadata,
        path: str,
        enter: Callable[[Caller], None],
    ) -> str:
        """Use up the proof of a call of the method ``path``; return its key's thumbprint.

        ``enter`` lets the caller in before its proof is used up; that of a caller who is refused
        anyway is not. Raises Refused TOKEN_PROOF_INVALID, TOKEN_PROOF_NONCE, what ``enter``
        raises, and as `authenticate`.
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
        enter(self.authenticate(context, metadata, proof.thumbprint))
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
        view, now = self._feed.current(), self._clock.now()
        asked = caller.client_id, scope
        let = self._let.get(asked)
        if let is not None and let.caller is caller and let.view is view and let.now == now:
            return
        authority = view.authority
        require_call(authority, caller.client_id, scope, caller.token_scopes, now)
        sign_in = SignIn(caller.principal, caller.auth_time, caller.acr)
        require_person(authority, sign_in, scope, now)
        if len(self._let) >= _MOST_REMEMBERED:
            self._let.clear()
        self._let[asked] = _Let(caller, view, now)
