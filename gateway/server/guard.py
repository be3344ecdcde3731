"""The guard: who calls, and whether it may call this method at all (G3, G4)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import grpc

from gateway.authenticate.authenticator import Authenticator
from gateway.authenticate.caller import Caller
from gateway.authority.feed import AuthorityFeed
from gateway.clock import Clock
from operators.rules import require_call

_CERTIFICATE: Final = "x509_pem_cert"
_AUTHORIZATION: Final = "authorization"

Metadata = Mapping[str, Any]


class Guard:
    """Admits calls; one event loop's own."""

    def __init__(self, authenticator: Authenticator, feed: AuthorityFeed, clock: Clock) -> None:
        self._authenticator = authenticator
        self._feed = feed
        self._clock = clock

    def authenticate(
        self,
        context: grpc.aio.ServicerContext[bytes, bytes],
        metadata: Metadata,
    ) -> Caller:
        """Return who is calling. Raises Refused; see `Authenticator.authenticate`."""
        certificates: Sequence[bytes] = context.auth_context().get(_CERTIFICATE, ())  # type: ignore[assignment]
        authorization = metadata.get(_AUTHORIZATION)
        return self._authenticator.authenticate(
            certificates[0] if certificates else None,
            authorization if isinstance(authorization, str) else None,
            self._feed.current(),
            self._clock.now(),
        )

    def require_scope(self, caller: Caller, scope: str) -> None:
        """Raise Refused unless ``caller`` may call methods of ``scope`` now."""
        require_call(
            self._feed.current().authority,
            caller.client_id,
            scope,
            caller.token_scopes,
            self._clock.now(),
        )
