"""RFC 7592: a client that registered itself reads, updates and deletes its registration.

By its registration access token, and over a certificate that it has now: a stolen token is
worth nothing without the client's TLS key.
"""

import asyncio
import hmac
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import AccessDeniedError, InvalidRequestError
from authlib.oauth2.rfc7591 import InvalidClientMetadataError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.oauth.client_metadata import client_of, read_metadata
from gateway.oauth.context import AuthorizationContext
from gateway.oauth.presented import Presented, TokenRefused
from gateway.oauth.registrar import Registrar, Ruling, draft, may_register
from gateway.oauth.rfc7591 import (
    information,
    kept_digest,
    read_json,
    refusal,
    require_granted,
    require_own,
)
from gateway.oauth.uncached import NO_STORE
from operators.authority import Authority
from operators.client_widening import widens_client
from operators.model import CLIENT, Client
from operators.openings import open_names
from operators.registration import CLIENT_REGISTRATION, ClientRegistration

# Section 2.2: they are the server's alone, and an update must not carry them.
_SERVERS_OWN: Final = (
    "registration_access_token",
    "registration_client_uri",
    "client_secret_expires_at",
    "client_id_issued_at",
)
_NOBODY: Final = "A" * 43


class ConfigurationDesk:
    """Answers clients about their own registration. Blocks on the store."""

    def __init__(self, context: AuthorizationContext) -> None:
        self._context = context
        self._registrar = Registrar(context)

    def read(self, shown: Presented, client_id: str) -> Response:
        """Return the registration. Raises TokenRefused, Refused."""
        authority = self._context.authority().authority
        client, registration = self._own(authority, shown, client_id)
        return self._information(
            authority, client, registration, shown.token, self._context.clock.now()
        )

    def update(self, shown: Presented, client_id: str, document: Mapping[str, Any]) -> Response:
        """Replace the metadata as a whole (section 2.2).

        Certificates stay as they are: exchanging them is the administrator's, and under a
        guarded policy all that widens. Raises TokenRefused, OAuth2Error, Refused.
        """
        # Whose token it is comes first: nobody else hears what is wrong with a request.
        self._own(self._context.authority().authority, shown, client_id)
        if document.get("client_id") != client_id:
            raise InvalidRequestError("Send the client's own client_id.")
        if any(field in document for field in _SERVERS_OWN):
            raise InvalidRequestError(f"Leave out {', '.join(_SERVERS_OWN)}.")
        metadata = read_metadata(document)

        def judge(authority: Authority, now: int) -> Ruling:
            client, registration = self._own(authority, shown, client_id)
            if not may_register(authority, client.operator_id, None, now):
                raise TokenRefused(
                    403,
                    "Bearer",
                    "insufficient_scope",
                    "The operator is not active, or holds no licence in force.",
                )
            if metadata.software_id not in (None, registration.software_id):
                raise InvalidClientMetadataError(
                    description="software_id: it stays that of the software statement."
                )
            require_granted(authority, client.operator_id, metadata, now)
            updated = client_of(
                metadata, client_id, client.operator_id, client.certificate_thumbprints
            ).model_copy(update={"version": client.version})
            if authority.policy.guarded and widens_client(client, updated):
                raise _takes_two()
            require_own(authority, client_id, updated.certificate_thumbprints)
            renamed = registration.model_copy(
                update={
                    "client_name": metadata.client_name,
                    "software_version": metadata.software_version,
                }
            )
            return Ruling(
                [draft(CLIENT, client_id, updated), draft(CLIENT_REGISTRATION, client_id, renamed)],
                self._information(authority, updated, renamed, shown.token, now),
            )

        return self._registrar.write(judge, changed_by=client_id, reason="updated its registration")

    def delete(self, shown: Presented, client_id: str) -> Response:
        """Remove the client for good (section 2.3). Raises TokenRefused, Refused."""

        def judge(authority: Authority, now: int) -> Ruling:
            client, _ = self._own(authority, shown, client_id)
            removed = client.model_copy(update={"removed_at": now})
            return Ruling(
                [draft(CLIENT, client_id, removed)], Response(status_code=204, headers=NO_STORE)
            )

        return self._registrar.write(judge, changed_by=client_id, reason="deleted its registration")

    def _information(
        self,
        authority: Authority,
        client: Client,
        registration: ClientRegistration,
        token: str,
        now: int,
    ) -> Response:
        scopes = open_names(authority, client.grantee, now)
        answer = information(self._context, client, registration, scopes, token)
        return JSONResponse(answer, headers=NO_STORE)

    def _own(
        self, authority: Authority, shown: Presented, client_id: str
    ) -> tuple[Client, ClientRegistration]:
        """Return the client and registration that the token shown is of.

        Raises TokenRefused, alike for clients that never were, were removed, or are others.
        """
        client = authority.clients.get(client_id)
        registration = authority.registrations.get(client_id)
        expected = _NOBODY if registration is None else registration.token_digest
        is_token = hmac.compare_digest(kept_digest(shown.token), expected)
        if (
            not is_token
            or client is None
            or registration is None
            or client.removed_at is not None
            or shown.scheme != "Bearer"
        ):
            raise TokenRefused(
                401, "Bearer", "invalid_token", "Send the client's registration access token."
            )
        if shown.thumbprint not in client.certificate_thumbprints:
            raise TokenRefused(
                401, "Bearer", "invalid_token", "Connect with a certificate of the client."
            )
        return client, registration


def _takes_two() -> OAuth2Error:
    return AccessDeniedError(
        status_code=403,
        description=(
            "The update takes a second person here; ask the administrator: creditgate client"
            " rotate for keys, creditgate client register for the rest."
        ),
    )


def configuration_route(context: AuthorizationContext) -> Route:
    """Return the route of registrations: the endpoint's URL, a slash and the client_id."""
    desk = ConfigurationDesk(context)
    base = context.endpoints.registration

    async def serve(request: Request) -> Response:
        client_id: str = request.path_params["client_id"]
        try:
            shown = Presented.of(request, f"{base}/{client_id}")
            if request.method == "PUT":
                document = await read_json(request)
                return await asyncio.to_thread(desk.update, shown, client_id, document)
            answer = desk.delete if request.method == "DELETE" else desk.read
            return await asyncio.to_thread(answer, shown, client_id)
        except TokenRefused as refused:
            return refused.response()
        except OAuth2Error as error:
            return refusal(error)
        except ClientDisconnect:
            return Response(status_code=400)

    path = f"{urlsplit(base).path}/{{client_id}}"
    return Route(path, serve, methods=["GET", "PUT", "DELETE"])
