"""The authenticator: certificate or proved key, and token, to caller, at every call."""

from typing import Final

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from gateway.authenticate.certificate import remembered_thumbprints
from gateway.authenticate.claims import CERTIFICATE, KEY, Confirmation
from gateway.authenticate.proof import SCHEME, proof_invalid
from gateway.authenticate.token import TokenVerifier, VerifiedToken, ancestors_stand
from gateway.oauth.client import AuthoritySnapshot
from operators.authority import Authority
from operators.model import Client
from operators.openings import approved_names

_BEARER: Final = "bearer "


class Authenticator:
    """Authenticates calls; one event loop's own. Never logs what it reads."""

    def __init__(self, verifier: TokenVerifier) -> None:
        self._verifier = verifier
        self._thumbprint_of = remembered_thumbprints()

    def authenticate(
        self,
        pem: bytes | None,
        authorization: str | None,
        view: AuthoritySnapshot,
        now: int,
        proven: str | None = None,
    ) -> Caller:
        """Return who is calling.

        ``pem`` is the peer's certificate as the TLS layer verified it, ``authorization``
        the metadata value ("Bearer ..." or "DPoP ..."), ``now`` in seconds UTC,
        ``proven`` the thumbprint of the key that the call's proof is of, None without a
        proof. Raises Refused with NO_CLIENT_CERTIFICATE, TOKEN_MISSING, TOKEN_INVALID,
        TOKEN_EXPIRED, TOKEN_REVOKED, TOKEN_NOT_YOURS, TOKEN_PROOF_INVALID or
        CLIENT_NOT_ACTIVE.
        """
        if not pem:
            raise Refused(
                RefusalReason.REFUSAL_REASON_NO_CLIENT_CERTIFICATE,
                "Connect with the client certificate registered for the client.",
            )
        # RFC 9110 section 11.1: the scheme's case does not matter.
        if not authorization or authorization[:7].lower() != _BEARER:
            return self._authenticate_key(authorization or "", view, now, proven)
        thumbprint = self._thumbprint_of(pem)
        shown = Confirmation(CERTIFICATE, thumbprint)
        token = self._verifier.verify(authorization[7:], shown, now, view)
        client = view.authority.clients.get(token.client_id)
        if (
            client is None
            or client.removed_at is not None
            or thumbprint not in client.certificate_thumbprints
            or not client.has_key(token.client_key)
        ):
            raise Refused(
                RefusalReason.REFUSAL_REASON_CLIENT_NOT_ACTIVE,
                "The client was removed, or this certificate, or the key its token was got by,"
                " is no longer registered for it.",
            )
        return _caller(client, token, view.authority)

    def _authenticate_key(
        self, authorization: str, view: AuthoritySnapshot, now: int, proven: str | None
    ) -> Caller:
        """Return the client whose token is bound to the key ``proven`` (RFC 9449 section 7.1).

        The connection may be a proxy's: what it shows tells nothing of the client.
        """
        if authorization[:5].lower() != SCHEME:
            raise Refused(
                RefusalReason.REFUSAL_REASON_TOKEN_MISSING,
                'Send an access token in the metadata: authorization = "Bearer <token>", or'
                ' "DPoP <token>" for one that is bound to a key.',
            )
        if proven is None:
            raise proof_invalid("Send one proof, in the metadata dpop.")
        token = self._verifier.verify(authorization[5:], Confirmation(KEY, proven), now, view)
        client = view.authority.clients.get(token.client_id)
        if (
            client is None
            or client.removed_at is not None
            or client.binding != "dpop"
            or not client.has_key(token.client_key)
        ):
            raise Refused(
                RefusalReason.REFUSAL_REASON_CLIENT_NOT_ACTIVE,
                "The client was removed, its tokens are no longer bound to a key, or the key"
                " its token was got by is no longer registered for it.",
            )
        return _caller(client, token, view.authority)


def _caller(client: Client, token: VerifiedToken, authority: Authority) -> Caller:
    if not ancestors_stand(token.ancestors, authority):
        raise Refused(
            RefusalReason.REFUSAL_REASON_CLIENT_NOT_ACTIVE,
            "The client of a token that this one was exchanged from was removed, or the key it"
            " was got by is no longer registered for it.",
        )
    scopes = token.scopes
    # Only what a person approved is held to what it meant then.
    if token.grant_id:
        scopes = approved_names(authority, scopes, token.opens)
    return Caller(
        client.client_id,
        client.role,
        client.operator_id,
        scopes,
        token.expires_at,
        token.principal,
        token.details,
        token.grant_id,
        token.auth_time,
        token.acr,
        token.revocable,
    )
