"""What every endpoint of the authorisation server stands on."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine
from starlette.requests import Request

from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.clock import Clock
from gateway.oauth.client import AuthoritySnapshot, RegisteredClient, registered_client
from gateway.oauth.connection import PEER_CERTIFICATE
from gateway.oauth.consent_request import TermsFaults
from gateway.oauth.dpop_nonces import DpopNonces
from gateway.oauth.replay import ReplayCache
from gateway.oauth.rfc8414 import Endpoints
from gateway.oauth.signing import SigningKeys
from gateway.pki.thumbprint import thumbprint_of_der


def no_region(client_id: str) -> bool:
    """Tell of no region that it stands: for a gateway that is in no federation."""
    del client_id
    return False


def always_sound() -> str:
    """Find nothing wrong with any process."""
    return ""


@dataclass(frozen=True, slots=True)
class AuthorizationContext:
    """One authorisation server's parts.

    ``authority`` gives the present snapshot and raises Refused when it is not known;
    ``audience`` is the ``aud`` of access tokens, ``token_seconds`` their life,
    ``grant_seconds`` that of a grant with its refresh token. Refresh tokens issued before
    ``rotate_before`` (seconds, UTC) are replaced when they are used. ``engine`` is that of
    the authority store; calls on it block. ``terms_faults`` judges the terms of consents
    that clients ask for; where it is None they can ask for none. ``region_stands`` tells of the
    client of another region whether that region stands now; it raises Refused where that cannot
    be known. ``soundness`` returns what is not well though the process serves, "" for nothing, and
    raises Refused where it is not fit to serve; its health tells either.
    """

    authority: Callable[[], AuthoritySnapshot]
    clock: Clock
    keys: SigningKeys
    replay: ReplayCache
    endpoints: Endpoints
    audience: str
    token_seconds: int
    grant_seconds: int
    rotate_before: int
    engine: Engine
    nonces: DpopNonces
    terms_faults: TermsFaults | None = None
    region_stands: Callable[[str], bool] = no_region
    soundness: Callable[[], str] = always_sound

    def client(self, client_id: str) -> RegisteredClient | None:
        """Return the client of that id as of now; None when there is none or it was removed."""
        client = registered_client(self.authority(), client_id, self.clock.now())
        of_region = client is not None and client.record.role == ClientRole.CLIENT_ROLE_REGION
        return client if not of_region or self.region_stands(client_id) else None


def presented_thumbprint(request: Request) -> str | None:
    """Return the ``x5t#S256`` of the certificate the peer showed; None without one."""
    certificate: bytes | None = request.scope["state"].get(PEER_CERTIFICATE)
    return None if certificate is None else thumbprint_of_der(certificate)
