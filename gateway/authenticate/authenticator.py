"""The authenticator: certificate and token to caller, at every call."""

from typing import Final

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from gateway.authenticate.certificate import remembered_thumbprints
from gateway.authenticate.token import TokenVerifier
from gateway.oauth.client import AuthoritySnapshot

_BEARER: Final = "bearer "


class Authenticator:
    """Authenticates calls; one event loop's own. Never logs what it reads."""

    def __init__(self, verifier: TokenVerifier) -> None:
        self._verifier = verifier
        self._thumbprint_of = remembered_thumbprints()

    def authenticate(
        self, pem: bytes | None, authorization: str | None, view: AuthoritySnapshot, now: int
    ) -> Caller:
        """Return who is calling.

        ``pem`` is the peer's certificate as the TLS layer verified it, ``authorization``
        the metadata value ("Bearer ..."), ``now`` in seconds UTC. Raises Refused with
        NO_CLIENT_CERTIFICATE, TOKEN_MISSING, TOKEN_INVALID, TOKEN_EXPIRED,
        TOKEN_NOT_YOURS or CLIENT_NOT_ACTIVE.
        """
        if not pem:
            raise Refused(
                RefusalReason.REFUSAL_REASON_NO_CLIENT_CERTIFICATE,
                "Connect with the client certificate registered for the client.",
            )
        # RFC 9110 section 11.1: the scheme's case does not matter.
        if not authorization or authorization[:7].lower() != _BEARER:
            raise Refused(
                RefusalReason.REFUSAL_REASON_TOKEN_MISSING,
                'Send an access token in the metadata: authorization = "Bearer <token>".',
            )
        thumbprint = self._thumbprint_of(pem)
        token = self._verifier.verify(authorization[7:], thumbprint, now, view.signing_keys)
        client = view.authority.clients.get(token.client_id)
        if (
            client is None
            or client.removed_at is not None
            or thumbprint not in client.certificate_thumbprints
        ):
            raise Refused(
                RefusalReason.REFUSAL_REASON_CLIENT_NOT_ACTIVE,
                "The client was removed, or this certificate is no longer registered for it.",
            )
        return Caller(
            client.client_id, client.role, client.operator_id, token.scopes, token.expires_at
        )
